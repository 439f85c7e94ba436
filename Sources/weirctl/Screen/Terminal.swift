// SPDX-License-Identifier: Apache-2.0
//
// The terminal as a screen: raw mode and the alternate screen, both given back whatever happens (the janitor of
// `DemoFolder` does it for a demo that is killed). Knows bytes and sizes, nothing of what is shown.

import Glibc
import LinuxIO

struct Terminal {
    private let original: termios
    static let input: Int32 = 0
    static let output: Int32 = 1

    /// Nil unless both ends are a terminal that understands ANSI sequences.
    init?() {
        guard isatty(Self.input) == 1, isatty(Self.output) == 1, Processes.environmentValue("TERM") != "dumb" else {
            return nil
        }
        var attributes = termios()
        guard unsafe tcgetattr(Self.input, &attributes) == 0 else { return nil }
        original = attributes
    }

    /// Keys come one by one and unseen; Ctrl-C is a key. Output keeps its line ends.
    func begin() {
        var raw = original
        unsafe cfmakeraw(&raw)
        raw.c_oflag = original.c_oflag
        _ = unsafe tcsetattr(Self.input, TCSAFLUSH, &raw)
        write("\u{1B}[?1049h\u{1B}[?25l\u{1B}[2J")
    }

    /// Alternate screen off, cursor on, modes as they were.
    func restore() {
        var attributes = original
        write("\u{1B}[0m\u{1B}[?25h\u{1B}[?1049l")
        _ = unsafe tcsetattr(Self.input, TCSAFLUSH, &attributes)
    }

    /// Columns and rows; 80 and 24 where the terminal does not say.
    var size: (width: Int, height: Int) {
        var size = winsize()
        guard unsafe ioctl(Self.output, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
            return (80, 24)
        }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// In place, without flicker: each line is overwritten and cleared to its end, then what is below.
    func draw(_ lines: [StyledLine]) {
        let (width, height) = size
        var text = "\u{1B}[H"
        for (index, line) in lines.prefix(height).enumerated() {
            if index > 0 { text += "\r\n" }
            text += line.rendered(width: width) + "\u{1B}[K"
        }
        write(text + "\u{1B}[J")
    }

    func clear() { write("\u{1B}[2J") }

    /// The keys that are there; empty at the terminal's end. Called when the input can be read.
    func keys() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = unsafe read(Self.input, &bytes, bytes.count)
        return Array(bytes.prefix(max(0, count)))
    }

    private func write(_ text: String) { try? Files.writeAll(Self.output, Array(text.utf8)) }
}
