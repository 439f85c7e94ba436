// SPDX-License-Identifier: Apache-2.0
//
// Other processes for these tests.

import CLinux
import LinuxIO

/// Runs `body` in a child, whose exit code is the result. All tests share a process and run at once, so the child
/// begins with closing what it inherited from the others: a socket that it kept would not end when its test closes it.
func inChild(keeping kept: [Int32] = [], _ body: () -> Int32) throws -> Int32 {
    switch try Processes.fork() {
    case .child:
        var first: UInt32 = 3
        for number in kept.sorted() {
            _ = cl_close_range(first, UInt32(number) - 1)
            first = UInt32(number) + 1
        }
        _ = cl_close_range(first, .max)
        Processes.exit(body())
    case .parent(let child): return child
    }
}
