// SPDX-License-Identifier: Apache-2.0
//
// Resource limits and the CPUs that a process may use.

import CLinux
import Glibc

extension Processes {
    package enum Resource: Sendable { case descriptors, coreBytes, lockedBytes }

    package struct Limit: Sendable, Equatable {
        /// What is enforced; `UInt.max` is no limit.
        package var soft: UInt
        /// How far a process without rights may raise it.
        package var hard: UInt

        package init(soft: UInt, hard: UInt) {
            self.soft = soft
            self.hard = hard
        }
    }

    package static func limit(of resource: Resource) throws(Errno) -> Limit {
        var value = rlimit()
        _ = try answer { unsafe getrlimit(number(of: resource), &value) }
        return Limit(soft: value.rlim_cur, hard: value.rlim_max)
    }

    package static func setLimit(of resource: Resource, _ limit: Limit) throws(Errno) {
        var value = rlimit(rlim_cur: limit.soft, rlim_max: limit.hard)
        _ = try answer { unsafe setrlimit(number(of: resource), &value) }
    }

    private static func number(of resource: Resource) -> Int32 {
        switch resource {
        case .descriptors: Int32(RLIMIT_NOFILE.rawValue)
        case .coreBytes: Int32(RLIMIT_CORE.rawValue)
        case .lockedBytes: Int32(__RLIMIT_MEMLOCK.rawValue)
        }
    }

    /// CPUs this process may run on, as a mask: bit n of word n / 64 stands for CPU n. The first 1,024 CPUs.
    package static func affinity() throws(Errno) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: 16)
        try result { unsafe cl_get_affinity(&words, UInt32(words.count)) }
        return words
    }

    package static func setAffinity(_ words: [UInt64]) throws(Errno) {
        try result { unsafe cl_set_affinity(words, UInt32(words.count)) }
    }

    /// How many CPUs this process may use, at least 1: the affinity mask, not what the machine has.
    package static func availableProcessorCount() -> Int {
        guard let words = try? affinity() else { return 1 }
        return max(1, words.reduce(0) { $0 + $1.nonzeroBitCount })
    }
}
