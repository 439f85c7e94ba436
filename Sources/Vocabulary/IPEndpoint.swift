// SPDX-License-Identifier: Apache-2.0
//
// Addresses as values: an IPv4 or IPv6 address, the same with a port, and what a configuration may name. They know
// their text form and nothing of sockets; LinuxIO turns them into `sockaddr`.

/// An IPv4 or IPv6 address. IPv4 keeps its four bytes in the top 32 bits of `high`.
package struct IPAddress: Sendable, Hashable, BitwiseCopyable {
    package enum Family: UInt8, Sendable, Hashable, BitwiseCopyable { case ipv4 = 4, ipv6 = 6 }

    package let family: Family
    /// Network order: the first byte of the address is the most significant one.
    package let high: UInt64
    package let low: UInt64

    package init(ipv4 bits: UInt32) {
        family = .ipv4
        high = UInt64(bits) << 32
        low = 0
    }

    package init(ipv6High high: UInt64, low: UInt64) {
        family = .ipv6
        self.high = high
        self.low = low
    }

    package var ipv4Bits: UInt32 { UInt32(high >> 32) }
    package var byteCount: Int { family == .ipv4 ? 4 : 16 }

    /// Byte `index` in network order, 0 …< `byteCount`.
    package func byte(_ index: Int) -> UInt8 {
        precondition(index >= 0 && index < byteCount)
        let word = index < 8 ? high : low
        return UInt8(truncatingIfNeeded: word >> UInt64((7 - (index & 7)) * 8))
    }

    /// True when the first `prefixLength` bits are those of `network` (CIDR).
    package func isIn(_ network: IPAddress, prefixLength: Int) -> Bool {
        guard family == network.family else { return false }
        let highBits = min(prefixLength, 64)
        let lowBits = prefixLength - highBits
        let highMask: UInt64 = highBits == 0 ? 0 : ~0 << UInt64(64 - highBits)
        let lowMask: UInt64 = lowBits <= 0 ? 0 : ~0 << UInt64(64 - lowBits)
        return (high ^ network.high) & highMask == 0 && (low ^ network.low) & lowMask == 0
    }

    /// An IPv4 address that came in over an IPv6 socket (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2), else itself.
    package var unmapped: IPAddress {
        guard family == .ipv6, high == 0, low >> 32 == 0xFFFF else { return self }
        return IPAddress(ipv4: UInt32(truncatingIfNeeded: low))
    }
}

/// An address and a port.
package struct IPEndpoint: Sendable, Hashable, BitwiseCopyable {
    package var address: IPAddress
    package var port: UInt16

    package init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }
}

/// What `listen`, `server` and `proxy_pass` may name once names are resolved.
package enum Endpoint: Sendable, Hashable {
    case ip(IPEndpoint)
    /// The path of a stream socket, without the `unix:` in front.
    case unix(String)

    /// nginx's form in logs: `1.2.3.4:5`, `[::1]:5`, `unix:/path`.
    package var text: String {
        switch self {
        case .ip(let endpoint): endpoint.text
        case .unix(let path): "unix:" + path
        }
    }
}
