// SPDX-License-Identifier: Apache-2.0
//
// Where an OCSP responder is, out of a certificate or a configuration, and the request that is sent there. As nginx:
// http alone, port 80 if none is named, a GET with the question in the path (RFC 6960 appendix A.1.1).

package struct ResponderURL: Sendable, Hashable {
    /// As written: a name, an IPv4 address, or an IPv6 address in brackets.
    package var host: [UInt8]
    package var port: UInt16
    /// Begins with a slash.
    package var path: [UInt8]

    /// The host without brackets, which a resolver or a parser of addresses takes.
    package var address: [UInt8] { host.first == UInt8(ascii: "[") ? Array(host.dropFirst().dropLast()) : host }

    package init(_ url: some Collection<UInt8>) throws(ResponderURLFault) {
        let prefix = Array("http://".utf8)
        guard url.count > prefix.count, zip(url, prefix).allSatisfy({ lowercased($0) == $1 }) else { throw .prefix }
        let rest = Array(url.dropFirst(prefix.count))
        // What stands here goes into a request as it is: a line break would begin a header of a stranger's choice.
        guard rest.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw .host }
        let pathStart = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
        path = Array(rest[pathStart...])
        if path.first != UInt8(ascii: "/") { path.insert(UInt8(ascii: "/"), at: 0) }

        var authority = rest[..<pathStart]
        port = 80
        let bracket = authority.lastIndex(of: UInt8(ascii: "]"))
        if let colon = authority.lastIndex(of: UInt8(ascii: ":")), colon > bracket ?? -1 {
            guard let number = Self.number(authority[(colon + 1)...]) else { throw .port }
            port = number
            authority = authority[..<colon]
        }
        guard !authority.isEmpty else { throw .noHost }
        let isBracketed = authority.first == UInt8(ascii: "[")
        guard isBracketed ? bracket == authority.endIndex - 1 && authority.count > 2 : bracket == nil,
            isBracketed || !authority.contains(UInt8(ascii: ":")), !authority.contains(UInt8(ascii: "@"))
        else { throw .host }
        host = Array(authority)
    }

    /// 1 … 65535 in decimal.
    private static func number(_ digits: ArraySlice<UInt8>) -> UInt16? {
        guard (1...5).contains(digits.count) else { return nil }
        var value = 0
        for digit in digits {
            guard UInt8(ascii: "0")...UInt8(ascii: "9") ~= digit else { return nil }
            value = value * 10 + Int(digit - UInt8(ascii: "0"))
        }
        return value > 0 ? UInt16(exactly: value) : nil
    }

    /// The request for `question`, an OCSP request in DER, in the form that nginx sends.
    package func request(_ question: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(path.count + question.count * 3 / 2 + host.count + 32)
        bytes += "GET ".utf8
        bytes += path
        if bytes.last != UInt8(ascii: "/") { bytes.append(UInt8(ascii: "/")) }
        Self.appendBase64(question, to: &bytes)
        bytes += " HTTP/1.0\r\nHost: ".utf8
        bytes += host
        bytes += "\r\n\r\n".utf8
        return bytes
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Base64 (RFC 4648 section 4) as a part of a path: what means something else there is escaped.
    private static func appendBase64(_ plain: [UInt8], to bytes: inout [UInt8]) {
        for start in stride(from: 0, to: plain.count, by: 3) {
            let count = min(3, plain.count - start)
            var group: UInt32 = 0
            for index in 0..<3 { group = group << 8 | (index < count ? UInt32(plain[start + index]) : 0) }
            for index in 0..<4 {
                let letter = index <= count ? alphabet[Int(group >> UInt32(18 - 6 * index)) & 63] : UInt8(ascii: "=")
                switch letter {
                case UInt8(ascii: "+"): bytes += "%2B".utf8
                case UInt8(ascii: "/"): bytes += "%2F".utf8
                case UInt8(ascii: "="): bytes += "%3D".utf8
                default: bytes.append(letter)
                }
            }
        }
    }
}

package enum ResponderURLFault: Error, Sendable, Equatable {
    /// Not http.
    case prefix
    case noHost
    case host
    case port

    /// nginx's words, which stand before `in OCSP responder "…"`.
    package var words: StaticString {
        switch self {
        case .prefix: "invalid URL prefix"
        case .noHost: "no host"
        case .host: "invalid host"
        case .port: "invalid port"
        }
    }
}

func lowercased(_ character: UInt8) -> UInt8 {
    UInt8(ascii: "A")...UInt8(ascii: "Z") ~= character ? character | 0x20 : character
}
