// SPDX-License-Identifier: Apache-2.0
//
// A syslog server for a test: collects datagrams, over UDP or at a unix socket.

import Foundation
import Glibc
import Synchronization

package final class DatagramReceiver: Sendable {
    /// As after `server=`.
    package let address: String
    private let collected = Mutex<[String]>([])

    package convenience init(port: UInt16) throws { try self.init(.ipv4(port), address: "127.0.0.1:\(port)") }

    package convenience init(path: String) throws { try self.init(.unix(path), address: "unix:\(path)") }

    private init(_ endpoint: Endpoint, address: String) throws {
        self.address = address
        let socket = Glibc.socket(endpoint.family, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0, unsafe endpoint.withAddress({ unsafe bind(socket, $0, $1) }) == 0 else {
            throw TestFault.system("bind(\(address))", errno)
        }
        if case .unix(let path) = endpoint { unsafe chmod(path, 0o777) }
        // Looks whether the test is over now and then.
        var pause = timeval(tv_sec: 0, tv_usec: 100_000)
        unsafe setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &pause, socklen_t(MemoryLayout<timeval>.size))
        let thread = Thread { [weak self] in
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while self != nil {
                let count = unsafe recv(socket, &buffer, buffer.count, 0)
                if count > 0 {
                    let text = String(decoding: buffer[..<count], as: UTF8.self)
                    self?.collected.withLock { $0.append(text) }
                }
            }
            close(socket)
        }
        thread.start()
    }

    package var received: [String] { collected.withLock { $0 } }
}
