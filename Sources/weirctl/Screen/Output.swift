// SPDX-License-Identifier: Apache-2.0
//
// Lines for people, written at once: a buffered line of a process that forks may come twice, or late.

import LinuxIO

/// To the standard output, whose end is no reason to stop: the demo cleans up first.
func say(_ line: String = "") { try? Files.writeAll(1, Array((line + "\n").utf8)) }

func sayError(_ line: String) { try? Files.writeAll(2, Array((line + "\n").utf8)) }
