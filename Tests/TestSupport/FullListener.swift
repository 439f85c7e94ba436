// SPDX-License-Identifier: Apache-2.0
//
// A listener that takes no connection any more: its queue is full, so the kernel drops each SYN and a connect hangs.

import Glibc

package final class FullListener: Sendable {
    private let listener: Int32
    private let fillers: [Int32]

    package init(port: UInt16) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        let endpoint = Endpoint.ipv4(port)
        guard unsafe endpoint.withAddress({ unsafe bind(listener, $0, $1) }) == 0, listen(listener, 0) == 0 else {
            throw TestFault.system("listen(\(endpoint.text))", errno)
        }
        // One fills the queue; further ones hang in SYN_SENT and show that it is full.
        self.listener = listener
        fillers = (0..<3).map { _ in
            let filler = socket(
                AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
            _ = unsafe endpoint.withAddress { unsafe connect(filler, $0, $1) }
            return filler
        }
    }

    package func close() {
        for filler in fillers { Glibc.close(filler) }
        Glibc.close(listener)
    }
}
