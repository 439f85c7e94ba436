// SPDX-License-Identifier: Apache-2.0
//
// What goes wrong in a test's own machinery, with all that a reader of the failure needs in its text.

import Glibc

package struct TestFault: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }

    /// A peer's RST was the reason.
    package var isReset: Bool { description.contains("(\(ECONNRESET):") }

    /// A failed system call, with errno as it stands.
    static func system(_ call: String, _ code: Int32) -> TestFault {
        TestFault("\(call) failed (\(code): \(errorText(code)))")
    }
}
