// SPDX-License-Identifier: Apache-2.0
//
// Chance from the kernel, only ever as a seed: everything that chooses at random takes a generator, so that a run with
// a known seed can be repeated.

import CLinux
import Vocabulary

package enum Chance {
    /// 64 bits from getrandom(2).
    package static func seed() -> UInt64 {
        var value: UInt64 = 0
        let status = unsafe cl_random(&value)
        precondition(status == 0, "getrandom(2) of 8 bytes cannot fail")
        return value
    }

    package static func generator() -> SeededRandom { SeededRandom(seed: seed()) }
}
