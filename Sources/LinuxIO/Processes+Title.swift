// SPDX-License-Identifier: Apache-2.0
//
// What ps(1) and top(1) show: `weir: worker process`.

import CLinux

extension Processes {
    /// Writes `title` over this process's arguments, which is where ps(1) looks, as far as there is room, and its last
    /// word(s) into the short name. The arguments must have been read before. Where /proc is not there nothing changes.
    package static func setTitle(_ title: String, shortName: String) {
        unsafe _ = cl_set_name(shortName)
        guard let area = argumentArea() else { return }
        let start = unsafe UnsafeMutableRawPointer(bitPattern: area.lowerBound)
        let room = unsafe UnsafeMutableRawBufferPointer(start: start, count: area.count)
        // The last byte stays NUL: the kernel takes anything else as a title that goes on into the environment.
        let bytes = Array(title.utf8.prefix(area.count - 1))
        for index in 0..<area.count { unsafe room[index] = index < bytes.count ? bytes[index] : 0 }
    }

    /// arg_start and arg_end of proc_pid_stat(5), the 48th and 49th field. The 2nd, the name, may hold blanks and
    /// parentheses, so counting begins behind the last parenthesis.
    private static func argumentArea() -> Range<UInt>? {
        guard let bytes = try? Files.read("/proc/self/stat", bytesMax: 8192),
            let nameEnd = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let fields = bytes[(nameEnd + 1)...].split(separator: UInt8(ascii: " "))
        guard fields.count > 46,
            let start = UInt(String(decoding: fields[45], as: UTF8.self)),
            let end = UInt(String(decoding: fields[46], as: UTF8.self)),
            start > 0, end > start, end - start <= 2 << 20
        else { return nil }
        return start..<end
    }
}
