// SPDX-License-Identifier: Apache-2.0
//
// What may be written where an address is wanted (ngx_parse_url): `host:port`, `1.2.3.4:5`, `[::1]:5`, `unix:/path`,
// and for `listen` also `*:port`, `port` and ranges of ports. Host names stay names here; the linker resolves them.

import Vocabulary

struct AddressText: Equatable {
    enum Host: Equatable {
        /// `*`, or a port alone.
        case any
        case address(IPAddress)
        case name(String)
        /// The path of a unix socket.
        case unix(String)
    }
    var host: Host
    /// Nil where none is written. For `listen` a range.
    var ports: ClosedRange<UInt16>? = nil
    /// As written, the brackets of IPv6 included; the path of a unix socket.
    var hostText: String
    var portText = ""

    /// Of sockaddr_un, without its last byte.
    static let unixPathBytesMax = 107

    /// nginx's words for what is wrong.
    struct Fault: Error, Equatable {
        var reason: String
        var remedy: String
    }

    static func parse(_ text: [UInt8], isListen: Bool) throws(Fault) -> AddressText {
        if text.hasPrefix("unix:") { return try parseUnix(text.dropFirst(5)) }
        if text.first == UInt8(ascii: "[") { return try parseBracketed(text, isListen: isListen) }
        return try parseInet(text, isListen: isListen)
    }

    private static func parseUnix(_ path: ArraySlice<UInt8>) throws(Fault) -> AddressText {
        guard !path.isEmpty else {
            throw Fault(reason: "no path in the unix domain socket", remedy: "write unix:/path/to/socket")
        }
        guard path.count <= unixPathBytesMax else {
            throw Fault(
                reason: "too long path in the unix domain socket",
                remedy: "the kernel takes \(unixPathBytesMax) bytes at most")
        }
        let text = String(decoding: path, as: UTF8.self)
        return AddressText(host: .unix(text), hostText: text)
    }

    private static func parseBracketed(_ text: [UInt8], isListen: Bool) throws(Fault) -> AddressText {
        guard let close = text.firstIndex(of: UInt8(ascii: "]")) else {
            throw Fault(reason: "invalid host", remedy: "an IPv6 address ends with \"]\": [::1]:1883")
        }
        let rest = text[(close + 1)...]
        guard rest.isEmpty || rest.first == UInt8(ascii: ":") else {
            throw Fault(reason: "invalid host", remedy: "after \"]\" comes \":\" and the port: [::1]:1883")
        }
        guard let address = IPAddress(utf8: text[1..<close]), address.family == .ipv6 else {
            throw Fault(reason: "invalid IPv6 address", remedy: "write it as in [2001:db8::1]:1883")
        }
        var result = AddressText(host: .address(address), hostText: String(decoding: text[...close], as: UTF8.self))
        if !rest.isEmpty { try result.setPorts(rest.dropFirst(), isListen: isListen) }
        return result
    }

    private static func parseInet(_ text: [UInt8], isListen: Bool) throws(Fault) -> AddressText {
        guard !text.contains(UInt8(ascii: "/")) else {
            throw Fault(reason: "invalid host", remedy: "write host:port; a unix socket begins with unix:")
        }
        let colon = text.firstIndex(of: UInt8(ascii: ":"))
        if colon == nil, isListen, isPortText(text[...]) {
            var result = AddressText(host: .any, hostText: "*")
            try result.setPorts(text[...], isListen: true)
            return result
        }
        let host = text[..<(colon ?? text.endIndex)]
        guard !host.isEmpty else {
            throw Fault(reason: "no host", remedy: isListen ? "write address:port, *:port or port" : "write host:port")
        }
        let hostText = String(decoding: host, as: UTF8.self)
        var result = AddressText(host: .name(hostText), hostText: hostText)
        if isListen, host.elementsEqual([UInt8(ascii: "*")]) {
            result.host = .any
        } else if let address = IPAddress(utf8: host) {
            result.host = .address(address)
        }
        if let colon { try result.setPorts(text[(colon + 1)...], isListen: isListen) }
        return result
    }

    /// A port or a range of them, and so no host.
    private static func isPortText(_ text: ArraySlice<UInt8>) -> Bool {
        text.split(separator: UInt8(ascii: "-"), maxSplits: 1, omittingEmptySubsequences: false)
            .allSatisfy { Quantity.number($0) != nil }
    }

    private mutating func setPorts(_ text: ArraySlice<UInt8>, isListen: Bool) throws(Fault) {
        let bounds =
            isListen
            ? text.split(separator: UInt8(ascii: "-"), maxSplits: 1, omittingEmptySubsequences: false) : [text]
        var numbers: [UInt16] = []
        for bound in bounds {
            guard let number = Quantity.number(bound), (1...65535).contains(number) else {
                throw Fault(reason: "invalid port", remedy: "a port is a number from 1 to 65535")
            }
            numbers.append(UInt16(number))
        }
        guard let first = numbers.first, let last = numbers.last, first <= last else {
            throw Fault(reason: "invalid port range", remedy: "the lower port comes first: 1883-1890")
        }
        ports = first...last
        portText = String(decoding: text, as: UTF8.self)
    }
}
