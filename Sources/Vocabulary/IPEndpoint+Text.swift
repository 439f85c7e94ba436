// SPDX-License-Identifier: Apache-2.0
//
// The text forms of addresses: what inet_pton(3) takes and what inet_ntop(3) and nginx write (RFC 5952: lower case,
// the longest run of zero groups as `::`). Without libc, so that leaves and the simulation need none.

extension IPAddress {
    /// Takes `1.2.3.4`, `::1`, `fe80::1`, `::ffff:1.2.3.4`; no brackets, no port, no zone. Nil for anything else.
    package init?(text: String) {
        self.init(utf8: Array(text.utf8)[...])
    }

    package init?(utf8 text: ArraySlice<UInt8>) {
        if text.contains(UInt8(ascii: ":")) {
            guard let (high, low) = IPAddress.parseIPv6(text) else { return nil }
            self.init(ipv6High: high, low: low)
        } else {
            guard let bits = IPAddress.parseIPv4(text) else { return nil }
            self.init(ipv4: bits)
        }
    }

    private static func parseIPv4(_ text: ArraySlice<UInt8>) -> UInt32? {
        var bits: UInt32 = 0
        var groups = 0
        for group in text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            guard (1...3).contains(group.count), groups < 4 else { return nil }
            var value: UInt32 = 0
            for digit in group {
                guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
                value = value * 10 + UInt32(digit - UInt8(ascii: "0"))
            }
            guard value <= 255, group.count == 1 || group.first != UInt8(ascii: "0") else { return nil }
            bits = bits << 8 | value
            groups += 1
        }
        return groups == 4 ? bits : nil
    }

    private static func parseIPv6(_ text: ArraySlice<UInt8>) -> (UInt64, UInt64)? {
        guard text.count <= 45 else { return nil }
        let colon = UInt8(ascii: ":")
        var head: [UInt16] = []
        var tail: [UInt16] = []
        var sawGap = false
        var rest = text
        if rest.starts(with: [colon, colon]) {
            sawGap = true
            rest = rest.dropFirst(2)
        } else if rest.first == colon {
            return nil
        }
        while !rest.isEmpty {
            let group = rest.prefix { $0 != colon }
            if group.contains(UInt8(ascii: ".")) {
                guard group.endIndex == rest.endIndex, let bits = parseIPv4(group) else { return nil }
                let pair = [UInt16(bits >> 16), UInt16(truncatingIfNeeded: bits)]
                if sawGap { tail += pair } else { head += pair }
                rest = rest[group.endIndex...]
                break
            }
            guard let value = parseHexGroup(group) else { return nil }
            if sawGap { tail.append(value) } else { head.append(value) }
            rest = rest[group.endIndex...]
            guard rest.first == colon else { break }
            rest = rest.dropFirst()
            if rest.first == colon {
                guard !sawGap else { return nil }
                sawGap = true
                rest = rest.dropFirst()
            } else if rest.isEmpty {
                return nil
            }
        }
        let count = head.count + tail.count
        guard rest.isEmpty, sawGap ? count <= 7 : count == 8 else { return nil }
        let groups = head + Array(repeating: 0, count: 8 - count) + tail
        var high: UInt64 = 0
        var low: UInt64 = 0
        for index in 0..<4 {
            high = high << 16 | UInt64(groups[index])
            low = low << 16 | UInt64(groups[index + 4])
        }
        return (high, low)
    }

    private static func parseHexGroup(_ group: ArraySlice<UInt8>) -> UInt16? {
        guard (1...4).contains(group.count) else { return nil }
        var value: UInt16 = 0
        for character in group {
            guard let digit = hexDigitValue(character) else { return nil }
            value = value << 4 | UInt16(digit)
        }
        return value
    }

    /// Appends the text form; allocates only when `output` has to grow.
    package func write(to output: inout [UInt8]) {
        switch family {
        case .ipv4:
            for index in 0..<4 {
                if index > 0 { output.append(UInt8(ascii: ".")) }
                output.appendDecimal(UInt64(byte(index)))
            }
        case .ipv6:
            let mapped = unmapped
            if mapped.family == .ipv4 {
                output.append(utf8: "::ffff:")
                mapped.write(to: &output)
            } else {
                writeIPv6(to: &output)
            }
        }
    }

    private func writeIPv6(to output: inout [UInt8]) {
        var bestStart = -1
        var bestLength = 1
        var runStart = -1
        for index in 0..<8 {
            guard group(index) == 0 else {
                runStart = -1
                continue
            }
            if runStart < 0 { runStart = index }
            if index - runStart + 1 > bestLength {
                bestStart = runStart
                bestLength = index - runStart + 1
            }
        }
        var index = 0
        var needsColon = false
        while index < 8 {
            if index == bestStart {
                output.append(utf8: "::")
                index += bestLength
                needsColon = false
                continue
            }
            if needsColon { output.append(UInt8(ascii: ":")) }
            output.appendHex(UInt64(group(index)))
            needsColon = true
            index += 1
        }
    }

    private func group(_ index: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64((3 - (index & 3)) * 16))
    }

    package var text: String {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension IPEndpoint {
    /// Appends `1.2.3.4:5` or `[::1]:5`.
    package func write(to output: inout [UInt8]) {
        if address.family == .ipv6 {
            output.append(UInt8(ascii: "["))
            address.write(to: &output)
            output.append(utf8: "]:")
        } else {
            address.write(to: &output)
            output.append(UInt8(ascii: ":"))
        }
        output.appendDecimal(UInt64(port))
    }

    package var text: String {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}
