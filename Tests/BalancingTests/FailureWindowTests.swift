// SPDX-License-Identifier: Apache-2.0
//
// max_fails and fail_timeout, second by second.

import Balancing
import Testing

@Suite struct FailureWindowTests {
    @Test("a failed server is out for fail_timeout, is probed once, and returns by a success")
    func wholeLife() {
        let group = Group(weights: [1, 1])
        #expect(group.fail(0))
        for _ in 0...10 {
            #expect(group.letters(2) == "bb")
            group.now += 1
        }
        // 11 s later: one probe, the rest keeps out.
        var probe = ""
        for _ in 0..<4 { probe += group.letters(1) }
        #expect(probe.filter { $0 == "a" }.count == 1)
        #expect(group.peers[0].checkedSeconds == group.now)
        #expect(group.letters(3) == "bbb")
        #expect(group.succeed(0))
        #expect(group.peers[0].fails == 0)
        #expect(Set(group.letters(4)) == ["a", "b"])
    }

    @Test("a probe that fails starts the window anew, without a second warning")
    func failedProbe() {
        let group = Group(weights: [1, 1])
        #expect(group.fail(0))
        group.now += 11
        #expect(group.letters(3).contains("a"))
        #expect(!group.fail(0))
        group.now += 10
        #expect(group.letters(3) == "bbb")
        group.now += 1
        #expect(group.letters(3).contains("a"))
    }

    @Test("fewer failures than max_fails keep nobody out, and the last one is the one that is told")
    func threshold() {
        let group = Group(weights: [1, 1])
        group.peers[0].maxFails = 3
        #expect(!group.fail(0))
        #expect(!group.fail(0))
        #expect(!group.peers[0].isInFailureWindow(now: group.now))
        #expect(group.fail(0))
        #expect(group.peers[0].isInFailureWindow(now: group.now))
        #expect(!group.fail(0))
    }

    @Test("max_fails=0 counts and keeps nobody out")
    func unlimited() {
        let group = Group(weights: [1, 1])
        group.peers[0].maxFails = 0
        for _ in 0..<100 { #expect(!group.fail(0)) }
        #expect(group.letters(4) == "abab")
        #expect(group.peers[0].effectiveWeight == 1)
    }

    @Test("a success of a session that was chosen before the last failure proves nothing")
    func staleSuccess() {
        let group = Group(weights: [1, 1])
        _ = group.fail(0)
        #expect(!group.succeed(0))
        #expect(group.peers[0].fails == 1)
        #expect(group.peers[0].isInFailureWindow(now: group.now))
    }

    @Test("all failed: nobody, until a window passes")
    func nobody() {
        let group = Group(weights: [1, 1])
        _ = group.fail(0)
        _ = group.fail(1)
        #expect(group.letters(1) == "-")
        group.now += 11
        #expect(group.letters(3) == "ab-")
    }
}
