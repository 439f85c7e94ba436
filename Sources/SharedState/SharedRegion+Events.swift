// SPDX-License-Identifier: Apache-2.0
//
// The last things that happened: what turned a tile red, and when. Master and prober each write a ring of their own;
// readers take the last ones of both, in the order of time. What is older than a ring is gone: logs keep everything.

import CShared

package enum EventKind: UInt8, Sendable, CaseIterable {
    /// By the master.
    case started = 1
    case reloaded
    case reloadRefused
    /// A worker, the prober or the admin process died and is replaced.
    case processDied
    /// A server was added, set or removed, or set down, draining or up.
    case serversChanged
    /// By the prober.
    case peerUp = 32
    case peerUnhealthy
    case peerChecking
}

package struct RegionEvent: Sendable, Equatable {
    package var wallMilliseconds: UInt64
    package var kind: EventKind
    /// A sentence's worth, such as the server, its group and the check's reason.
    package var text: String
    /// Counted from 1 by its writer. With `kind` it names the event.
    package var number: UInt64

    /// Written by the prober, else by the master.
    package var isByProber: Bool { kind.rawValue >= EventKind.peerUp.rawValue }
}

extension SharedRegion {
    package static let eventTextBytesMax = Int(CS_EVENT_TEXT_BYTES)

    /// By the master or the prober, as the kind says. Cuts the text at `eventTextBytesMax`.
    package func note(_ kind: EventKind, wallMilliseconds: UInt64, text: String) {
        let isByProber = kind.rawValue >= EventKind.peerUp.rawValue
        let events = unsafe cs_events_of(base, isByProber ? CS_EVENTS_PROBER : CS_EVENTS_MASTER)
        let number = unsafe cs_load(cs_event_count(events)) + 1
        let bytes = cut(text)
        unsafe cs_event_begin(events, number)
        unsafe cs_store(cs_event(events, number, CS_EVENT_AT), wallMilliseconds)
        unsafe cs_store(cs_event(events, number, CS_EVENT_KIND), UInt64(kind.rawValue))
        unsafe cs_store(cs_event(events, number, CS_EVENT_TEXT_COUNT), UInt64(bytes.count))
        unsafe SharedText(cs_event(events, number, CS_EVENT_TEXT), capacity: Self.eventTextBytesMax).store(bytes)
        unsafe cs_event_end(events, number)
    }

    /// The last `count` events, the oldest first.
    package func events(last count: Int = Int(CS_EVENTS)) -> [RegionEvent] {
        let all = [CS_EVENTS_MASTER, CS_EVENTS_PROBER].flatMap { events(of: $0, last: count) }
        return Array(all.sorted { $0.wallMilliseconds < $1.wallMilliseconds }.suffix(count))
    }

    /// How many events there ever were; a reader that remembers it knows whether to look again.
    package var eventCount: UInt64 {
        [CS_EVENTS_MASTER, CS_EVENTS_PROBER].reduce(0) { sum, ring in
            sum &+ (unsafe cs_load(cs_event_count(cs_events_of(base, ring))))
        }
    }

    private func events(of ring: cs_event_ring, last count: Int) -> [RegionEvent] {
        let events = unsafe cs_events_of(base, ring)
        let newest = unsafe cs_load_acquire(cs_event_count(events))
        let wanted = min(UInt64(clamping: count), UInt64(CS_EVENTS), newest)
        return (newest - wanted..<newest).compactMap { before in
            let number = before + 1
            func word(_ field: cs_event_field) -> UInt64 { unsafe cs_load(cs_event(events, number, field)) }
            guard unsafe cs_event_is(events, number) else { return nil }
            let at = word(CS_EVENT_AT)
            let kind = EventKind(rawValue: UInt8(truncatingIfNeeded: word(CS_EVENT_KIND)))
            let text = unsafe SharedText(cs_event(events, number, CS_EVENT_TEXT), capacity: Self.eventTextBytesMax)
                .load(count: word(CS_EVENT_TEXT_COUNT))
            // Overwritten meanwhile: it was the oldest, and is gone.
            guard let kind, unsafe cs_event_is(events, number) else { return nil }
            return RegionEvent(
                wallMilliseconds: at, kind: kind, text: String(decoding: text, as: UTF8.self), number: number)
        }
    }

    /// At the border of a character.
    private func cut(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        guard bytes.count > Self.eventTextBytesMax else { return bytes }
        var end = Self.eventTextBytesMax
        while end > 0, bytes[end] & 0xC0 == 0x80 { end -= 1 }
        return Array(bytes[..<end])
    }
}
