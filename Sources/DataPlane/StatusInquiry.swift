// SPDX-License-Identifier: Apache-2.0
//
// What a session keeps while it asks OCSP responders about its client's certificates, and the pool that has it: most
// sessions ask for a moment in their life, or never.

import LinuxIO
import TLSEngine
import TLSWire
import Vocabulary

struct StatusInquiry {
    /// What follows once the kernel holds nothing of the responder's connection.
    enum Next {
        /// Still waiting for the responder.
        case answer
        /// The next address of the same responder.
        case address
        case certificate
        case end(ClientStatus)
    }

    let chain: StatusChain
    /// Of the certificate in the chain.
    var certificate = 0
    var next = Next.answer
    /// Of the responder that is being asked: its name for the log, and where it is.
    var host: [UInt8] = []
    var endpoints: [IPEndpoint] = []
    var endpoint = 0
    var isConnected = false
    /// The request, which each address gets anew.
    var request: [UInt8] = []
    var answer = ResponderAnswer()
}

/// Inquiries by index; an index is used again.
struct StatusInquiries {
    private var entries: [StatusInquiry?] = []
    private var free: [Int32] = []

    /// How many are under way.
    var count: Int { entries.count - free.count }

    subscript(index: Int32) -> StatusInquiry {
        get {
            guard let entry = entries[Int(index)] else { preconditionFailure("inquiry \(index) is gone") }
            return entry
        }
        _modify {
            yield &entries[Int(index)]!
        }
    }

    mutating func add(_ inquiry: StatusInquiry) -> Int32 {
        if let index = free.popLast() {
            entries[Int(index)] = inquiry
            return index
        }
        entries.append(inquiry)
        return Int32(entries.count - 1)
    }

    mutating func remove(_ index: Int32) {
        self[index].chain.free()
        entries[Int(index)] = nil
        free.append(index)
    }
}
