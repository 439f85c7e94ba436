// SPDX-License-Identifier: Apache-2.0
//
// Where a socket of a test listens or connects to, and the C addresses of it.

import Glibc

package enum Endpoint: Sendable, Hashable {
    case ipv4(UInt16, host: String = "127.0.0.1")
    case ipv6(UInt16)
    case unix(String)

    /// As in a configuration.
    package var text: String {
        switch self {
        case .ipv4(let port, let host): "\(host):\(port)"
        case .ipv6(let port): "[::1]:\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    var family: Int32 {
        switch self {
        case .ipv4: AF_INET
        case .ipv6: AF_INET6
        case .unix: AF_UNIX
        }
    }

    func withAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        switch self {
        case .ipv4(let port, let host):
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            unsafe inet_pton(AF_INET, host, &address.sin_addr)
            return unsafe pass(&address, body)
        case .ipv6(let port):
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            unsafe inet_pton(AF_INET6, "::1", &address.sin6_addr)
            return unsafe pass(&address, body)
        case .unix(let path):
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8.prefix(107)) }
            return unsafe pass(&address, body)
        }
    }

    private func pass<Address, Result>(
        _ address: inout Address, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe body(address, socklen_t(MemoryLayout<Address>.size))
            }
        }
    }
}

func errorText(_ code: Int32) -> String {
    unsafe String(cString: strerror(code))
}
