// SPDX-License-Identifier: Apache-2.0
//
// The plan that a commit follows: each listener of the new generation finds the worker's at its address, however many
// steps it takes, and what the new generation lacks is marked.

import ProxyConfig
import Testing
import Vocabulary

@testable import DataPlane

@Suite("listener plan")
struct ListenerPlanTests {
    private static func endpoint(_ port: Int) -> Endpoint {
        .ip(IPEndpoint(address: IPAddress(ipv4: 0x7F00_0001), port: UInt16(port)))
    }

    private static func present(_ port: Int, isClosing: Bool = false) -> ListenerState {
        var state = ListenerState(
            endpoint: endpoint(port), text: "", descriptor: 5, settings: 0, generation: 0)
        state.isClosing = isClosing
        return state
    }

    private static func plan(_ present: [ListenerState], wanted ports: [Int]) -> (ListenerPlan, steps: Int) {
        let wanted = ports.map { Listener(endpoint: endpoint($0), server: 0) }
        var plan = ListenerPlan()
        var steps = 1
        while !plan.step(present: present, wanted: wanted), steps < 10_000 { steps += 1 }
        return (plan, steps)
    }

    @Test("known addresses are found, new ones are not, and those that are gone are marked")
    func found() {
        let (plan, _) = Self.plan([Self.present(1), Self.present(2), Self.present(3)], wanted: [3, 4, 1])
        #expect(plan.places == [2, nil, 0])
        #expect(plan.isWanted == [true, false, true])
    }

    @Test("the first generation of a worker knows none, and one without listeners wants none")
    func empty() {
        #expect(Self.plan([], wanted: [1, 2]).0.places == [nil, nil])
        #expect(Self.plan([Self.present(1)], wanted: []).0.isWanted == [false])
        #expect(Self.plan([], wanted: []).0.isWanted.isEmpty)
    }

    @Test("of an address that is being drained and listened at anew, the new entry is meant")
    func drained() {
        let old = Self.present(1, isClosing: true)
        #expect(Self.plan([old, Self.present(1)], wanted: [1]).0.places == [1])
        #expect(Self.plan([Self.present(1), old], wanted: [1]).0.places == [0])
        #expect(Self.plan([old], wanted: [1]).0.places == [0])
    }

    @Test("a thousand listeners take many steps")
    func sliced() {
        let ports = Array(1...1000)
        let (plan, steps) = Self.plan(ports.map { Self.present($0) }, wanted: ports.reversed())
        #expect(plan.places == ports.indices.reversed())
        #expect(plan.isWanted == ports.map { _ in true })
        #expect(steps > 40)
    }
}
