// SPDX-License-Identifier: Apache-2.0
//
// Ports for the demo on loopback: the ones people know if they are free, else the next free ones. All lie outside of
// the range that the kernel takes for outgoing connections, so that no sensor's own port is in the way.

import LinuxIO
import Vocabulary

struct DemoPorts: Equatable {
    static let ipv4 = IPAddress(ipv4: 0x7F00_0001)
    static let ipv6 = IPAddress(ipv6High: 0, low: 1)

    var brokers: [UInt16]
    var weir: UInt16
    /// Weir's TLS listener, on IPv4 only.
    var secure: UInt16
    /// Weir's dashboard and API, on IPv4 only.
    var dashboard: UInt16
    /// False where IPv6 is switched off.
    var hasIPv6: Bool

    /// Nil when a thousand ports in a row are taken.
    static func choose() -> DemoPorts? {
        let hasIPv6 = isFree(ipv6, 0)
        guard let weir = firstFree(from: 11_883, { isFree(ipv4, $0) && (!hasIPv6 || isFree(ipv6, $0)) }) else {
            return nil
        }
        guard let secure = firstFree(from: 8_883, { isFree(ipv4, $0) }) else { return nil }
        // Where `weir top` and its like look by themselves.
        guard let dashboard = firstFree(from: 8_080, { $0 != secure && isFree(ipv4, $0) }) else { return nil }
        var brokers: [UInt16] = []
        while brokers.count < 3 {
            let start = brokers.last.map { $0 + 1 } ?? 18_831
            guard let port = firstFree(from: start, { ![secure, dashboard].contains($0) && isFree(ipv4, $0) }) else {
                return nil
            }
            brokers.append(port)
        }
        return DemoPorts(brokers: brokers, weir: weir, secure: secure, dashboard: dashboard, hasIPv6: hasIPv6)
    }

    var brokerEndpoints: [IPEndpoint] { brokers.map { IPEndpoint(address: Self.ipv4, port: $0) } }
    var weirSecure: IPEndpoint { IPEndpoint(address: Self.ipv4, port: secure) }
    var weirHTTP: IPEndpoint { IPEndpoint(address: Self.ipv4, port: dashboard) }
    var weirIPv4: IPEndpoint { IPEndpoint(address: Self.ipv4, port: weir) }
    var weirIPv6: IPEndpoint? { hasIPv6 ? IPEndpoint(address: Self.ipv6, port: weir) : nil }

    static func firstFree(from start: UInt16, _ isFree: (UInt16) -> Bool) -> UInt16? {
        (start..<start + 1000).first(where: isFree)
    }

    static func isFree(_ address: IPAddress, _ port: UInt16) -> Bool {
        (try? Sockets.listen(at: .ip(IPEndpoint(address: address, port: port)), ListenOptions())) != nil
    }
}
