// SPDX-License-Identifier: Apache-2.0
//
// Host names through the system's resolver. Blocks for as long as the resolver does: for the master while it reads a
// configuration, never for a worker.

import Glibc
import Vocabulary

/// Why a name has no addresses.
package struct NameFault: Error, Sendable, Equatable {
    /// An EAI_ number.
    package var code: Int32
    /// "host not found" for a name that does not exist (nginx's words), else gai_strerror(3)'s text.
    package var text: String
}

package enum Names {
    /// The addresses in the resolver's order, without repetitions.
    package static func addresses(of host: String) throws(NameFault) -> [IPAddress] {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = unsafe getaddrinfo(host, nil, &hints, &list)
        defer { if let list = unsafe list { unsafe freeaddrinfo(list) } }
        guard status == 0 else { throw fault(status) }
        var addresses: [IPAddress] = []
        var next = unsafe list
        while let entry = unsafe next {
            if let address = unsafe address(of: entry.pointee), !addresses.contains(address) {
                addresses.append(address)
            }
            unsafe next = entry.pointee.ai_next
        }
        guard !addresses.isEmpty else { throw fault(EAI_NONAME) }
        return addresses
    }

    private static func address(of entry: addrinfo) -> IPAddress? {
        guard let name = unsafe entry.ai_addr else { return nil }
        var place = SocketAddress()
        let length = unsafe Int(entry.ai_addrlen)
        guard length <= MemoryLayout<sockaddr_storage>.size else { return nil }
        unsafe place.withRoom { (room, _) in
            unsafe UnsafeMutableRawPointer(room).copyMemory(from: name, byteCount: length)
        }
        return place.endpoint?.address
    }

    private static func fault(_ status: Int32) -> NameFault {
        switch status {
        case EAI_NONAME, noData: return NameFault(code: status, text: "host not found")
        case EAI_SYSTEM: return NameFault(code: status, text: Errno(rawValue: errno).text)
        default: return NameFault(code: status, text: unsafe String(cString: gai_strerror(status)))
        }
    }

    /// EAI_NODATA, a GNU extension that Swift's Glibc module does not promise.
    private static let noData: Int32 = -5
}
