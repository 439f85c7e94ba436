// SPDX-License-Identifier: Apache-2.0
//
// What ps(1) and top(1) show: `weir: worker process`.

import CLinux

extension Processes {
    /// Writes `title` over this process's arguments, which is where ps(1) looks, and its short name. A title longer
    /// than the arguments runs on into the environment behind them, as the kernel allows (proc_pid_cmdline(5)); the
    /// environment moves away first. The arguments must have been read before. Where /proc is not there nothing
    /// changes.
    package static func setTitle(_ title: String, shortName: String) {
        unsafe _ = cl_set_name(shortName)
        guard let area = titleArea() else { return }
        setEnvironment(environment)
        let start = unsafe UnsafeMutableRawPointer(bitPattern: area.lowerBound)
        let room = unsafe UnsafeMutableRawBufferPointer(start: start, count: area.count)
        let bytes = Array(title.utf8.prefix(area.count - 1))
        for index in 0..<area.count { unsafe room[index] = index < bytes.count ? bytes[index] : 0 }
    }

    /// From arg_start to env_end of proc_pid_stat(5), the 48th and 51st field, when the environment follows the
    /// arguments at once, else to arg_end, the 49th. The 2nd, the name, may hold blanks and parentheses, so counting
    /// begins behind the last parenthesis.
    private static func titleArea() -> Range<UInt>? {
        guard let bytes = try? Files.read("/proc/self/stat", bytesMax: 8192),
            let nameEnd = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let fields = bytes[(nameEnd + 1)...].split(separator: UInt8(ascii: " "))
        guard fields.count > 48 else { return nil }
        let numbers = fields[45...48].compactMap { UInt(String(decoding: $0, as: UTF8.self)) }
        guard numbers.count == 4 else { return nil }
        let (argumentStart, argumentEnd, environmentStart, environmentEnd) =
            (numbers[0], numbers[1], numbers[2], numbers[3])
        let isOneArea = environmentStart == argumentEnd && environmentEnd > environmentStart
        let end = isOneArea ? environmentEnd : argumentEnd
        guard argumentStart > 0, argumentEnd > argumentStart, end - argumentStart <= 4 << 20 else { return nil }
        return argumentStart..<end
    }
}
