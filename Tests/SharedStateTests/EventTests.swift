// SPDX-License-Identifier: Apache-2.0
//
// The rings of events: the last ones of both writers, in order, whole or not at all.

import CShared
import Testing

@testable import SharedState

@Suite("Events in the shared region") struct EventTests {
    private let region: SharedRegion

    init() throws { region = try SharedRegion.create(masterPID: 1, wallMilliseconds: 1) }

    @Test("readers get the last events of master and prober, in the order of time")
    func order() {
        defer { region.detach() }
        #expect(region.events().isEmpty && region.eventCount == 0)
        region.note(.started, wallMilliseconds: 10, text: "Weir")
        region.note(.peerUnhealthy, wallMilliseconds: 30, text: "10.0.0.1:1883 in brokers: refused")
        region.note(.reloaded, wallMilliseconds: 20, text: "generation 2")
        #expect(region.events().map(\.kind) == [.started, .reloaded, .peerUnhealthy])
        #expect(region.events().map(\.number) == [1, 2, 1])
        #expect(region.events().map(\.isByProber) == [false, false, true])
        #expect(region.events(last: 1).map(\.text) == ["10.0.0.1:1883 in brokers: refused"])
        #expect(region.eventCount == 3)
    }

    @Test("a full ring forgets its oldest event, and no other writer's")
    func fullRing() {
        defer { region.detach() }
        region.note(.started, wallMilliseconds: 1, text: "kept")
        for number in 1...1000 { region.note(.peerUp, wallMilliseconds: UInt64(number), text: "\(number)") }
        let events = region.events(last: 10_000)
        #expect(events.count == Int(CS_EVENTS) + 1)
        #expect(events.first?.text == "kept")
        #expect(events.last?.text == "1000" && events.dropFirst().first?.text == "\(1000 - Int(CS_EVENTS) + 1)")
    }

    @Test("a long text is cut at the border of a character")
    func longText() {
        defer { region.detach() }
        region.note(.processDied, wallMilliseconds: 1, text: String(repeating: "é", count: 79) + "xé")
        #expect(region.events().first?.text == String(repeating: "é", count: 79) + "x")
    }

    @Test("an event that its writer left half written is not shown, and the next one is")
    func halfWritten() {
        defer { region.detach() }
        region.note(.peerUp, wallMilliseconds: 1, text: "whole")
        unsafe cs_event_begin(cs_events_of(region.base, CS_EVENTS_PROBER), 2)
        #expect(region.events().map(\.text) == ["whole"])
        region.note(.peerUp, wallMilliseconds: 2, text: "next")
        #expect(region.events().map(\.text) == ["whole", "next"])
    }
}
