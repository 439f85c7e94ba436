// SPDX-License-Identifier: Apache-2.0
//
// A bundle as bytes and back, in the layout that Bundle.swift names. Reading is total: whatever is no bundle is nil,
// and no length field makes it allocate more than there are bytes.

extension Bundle {
    private static let headerBytes = 17

    package func encoded() -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(
            order.reduce(0) { $0 + Bundle.headerBytes + $1.name.count + (entries[$1]?.count ?? 0) })
        for key in order {
            let value = entries[key] ?? []
            output.append(key.kind.rawValue)
            Bundle.append(UInt64(key.name.count), to: &output)
            Bundle.append(UInt64(value.count), to: &output)
            output.append(contentsOf: key.name)
            output.append(contentsOf: value)
        }
        return output
    }

    /// The bundle that `encoded` wrote, or nil.
    package init?(encoded bytes: [UInt8]) {
        self.init(encoded: bytes.span)
    }

    /// As above, from memory that somebody else owns (a sealed memfd).
    package init?(encoded bytes: Span<UInt8>) {
        self.init()
        var offset = 0
        while offset < bytes.count {
            guard bytes.count - offset >= Bundle.headerBytes,
                let kind = Kind(rawValue: bytes[offset]),
                let nameCount = Bundle.count(bytes, at: offset + 1),
                let valueCount = Bundle.count(bytes, at: offset + 9)
            else { return nil }
            offset += Bundle.headerBytes
            guard nameCount <= bytes.count - offset,
                valueCount <= bytes.count - offset - nameCount
            else { return nil }
            let name = Bundle.copy(bytes, from: offset, count: nameCount)
            let value = Bundle.copy(bytes, from: offset + nameCount, count: valueCount)
            record(kind, String(decoding: name, as: UTF8.self), value)
            offset += nameCount + valueCount
        }
    }

    private static func append(_ value: UInt64, to output: inout [UInt8]) {
        for shift in stride(from: 0, to: 64, by: 8) { output.append(UInt8(truncatingIfNeeded: value >> UInt64(shift))) }
    }

    private static func count(_ bytes: Span<UInt8>, at offset: Int) -> Int? {
        var value: UInt64 = 0
        for index in (0..<8).reversed() { value = value << 8 | UInt64(bytes[offset + index]) }
        return Int(exactly: value)
    }

    private static func copy(_ bytes: Span<UInt8>, from offset: Int, count: Int) -> [UInt8] {
        unsafe bytes.extracting(offset..<(offset + count)).withUnsafeBufferPointer { source in unsafe Array(source) }
    }
}
