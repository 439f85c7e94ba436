// SPDX-License-Identifier: Apache-2.0
//
// What people see at a terminal, by write(2): a buffered line would be printed again by every child.

import LinuxIO

enum Terminal {
    /// Standard output.
    static func say(_ text: String) { try? Files.writeAll(1, Array(text.utf8)) }

    /// Standard error.
    static func error(_ text: String) { try? Files.writeAll(2, Array(text.utf8)) }
}
