// SPDX-License-Identifier: Apache-2.0
//
// What a session is called in logs, in the API and on the links: one name for its whole life, which no other session
// ever had.

/// `7c41d02b-1793`: the run of Weir, and the session's number in it.
///
/// The number is `$connection` and stands in error log lines as `*1793`. Each worker counts what it accepts in the
/// shared region, where the count outlives the worker, so numbers are unique over workers and over their respawns. The
/// run tells one start of Weir from another, and one machine from another, where lines of many come together.
package struct SessionID: Sendable, Hashable, BitwiseCopyable {
    /// Numbers of a worker are this far apart: all slots that workers can have.
    package static let workersMax = 128

    package let run: UInt32
    package let number: UInt64

    package init(run: UInt32, number: UInt64) {
        self.run = run
        self.number = number
    }

    /// The number of the `count`th connection that the worker in this slot accepted.
    package static func number(worker: Int, count: UInt64) -> UInt64 {
        precondition(worker >= 0 && worker < workersMax)
        return count * UInt64(workersMax) + UInt64(worker)
    }

    /// The slot of the worker that has the session.
    package var worker: Int { Int(number % UInt64(SessionID.workersMax)) }

    package func write(to output: inout [UInt8]) {
        output.appendHex(UInt64(run), minimumDigits: 8)
        output.append(UInt8(ascii: "-"))
        output.appendDecimal(number)
    }

    package var text: String {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Nil for what `write` does not write.
    package init?(text: some Collection<UInt8>) {
        let parts = text.split(separator: UInt8(ascii: "-"), maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].count == 8 else { return nil }
        var run: UInt32 = 0
        for character in parts[0] {
            // One spelling each, so that whoever compares texts compares ids.
            guard let digit = hexDigitValue(character), !(UInt8(ascii: "A")...UInt8(ascii: "F") ~= character) else {
                return nil
            }
            run = run << 4 | UInt32(digit)
        }
        guard parts[1].allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }),
            parts[1].first != UInt8(ascii: "0") || parts[1].count == 1,
            let number = UInt64(String(decoding: parts[1], as: UTF8.self))
        else { return nil }
        self.init(run: run, number: number)
    }
}
