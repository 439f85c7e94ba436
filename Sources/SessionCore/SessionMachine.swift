// SPDX-License-Identifier: Apache-2.0
//
// The phases of a session and what of it is in the kernel. Pure; the worker asks and obeys.
//
//                   ┌──handshake──▶ handshaking ──preread──▶ prereading ◀──preread──┐
//                   │           ask │ ▲ answered       │         │                  │
//                   │               ▼ │     └──route──┐          │ route            │
//                   │              asking              │         │                  │
//     free ──begin──▶ routing ◀────────────────────────┴─────────┘                  │
//                   │  ▲  └────────────────────────────────(a listener that reads)──┘
//                   │  └──────────────retry───────────────┐
//                   ├──connect──▶ connecting ──secure──▶ securing (TLS with the broker)
//                   │                  └──────forward──────┴────▶ forwarding
//                   └──respond──▶ responding
//     any ──close──▶ closing ──release (nothing in the kernel)──▶ free
//
// `routing` is the place between phases: nothing is in the kernel, and what comes next is being decided.
// Invariant 1: a session is released only when `inFlight` is empty. Invariant 2: closing happens once.

import Vocabulary

/// Operations of one session that are in the kernel, at most one of each kind.
package struct OperationSet: OptionSet, Sendable, BitwiseCopyable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let connect = OperationSet(rawValue: 1)
    /// Receive from the client, or wait for it to be readable.
    package static let receiveClient = OperationSet(rawValue: 2)
    package static let receiveBroker = OperationSet(rawValue: 4)
    /// Send to the client, or wait for it to be writable.
    package static let sendClient = OperationSet(rawValue: 8)
    package static let sendBroker = OperationSet(rawValue: 16)
}

package struct SessionMachine: Sendable, BitwiseCopyable {
    package enum State: Sendable, BitwiseCopyable {
        case free, routing, handshaking, asking, prereading, connecting, securing, forwarding, responding, closing
    }

    package private(set) var state = State.free
    package private(set) var inFlight: OperationSet = []
    package private(set) var closeReason: CloseReason = .internalError

    package init() {}

    package mutating func begin() {
        precondition(state == .free && inFlight.isEmpty)
        state = .routing
    }

    /// The client begins with TLS.
    package mutating func handshake() {
        precondition(state == .routing)
        state = .handshaking
    }

    /// Shaken hands; whether the client's certificate was revoked is somebody else's to say.
    package mutating func ask() {
        precondition(state == .handshaking && inFlight.isEmpty)
        state = .asking
    }

    package mutating func answered() {
        precondition(state == .asking && inFlight.isEmpty)
        state = .handshaking
    }

    package mutating func preread() {
        precondition(state == .routing || state == .handshaking)
        state = .prereading
    }

    package mutating func route() {
        precondition(state == .prereading || state == .handshaking)
        state = .routing
    }

    package mutating func connect() {
        precondition(state == .routing)
        state = .connecting
    }

    /// Connected; the broker wants TLS.
    package mutating func secure() {
        precondition(state == .connecting)
        state = .securing
    }

    /// The try failed and another server may be tried.
    package mutating func retry() {
        precondition((state == .connecting || state == .securing) && inFlight.isEmpty)
        state = .routing
    }

    package mutating func forward() {
        precondition(state == .connecting || state == .securing)
        state = .forwarding
    }

    package mutating func respond() {
        precondition(state == .routing)
        state = .responding
    }

    /// False when the session is closing already: the first reason stands.
    package mutating func close(_ reason: CloseReason) -> Bool {
        precondition(state != .free)
        guard state != .closing else { return false }
        state = .closing
        closeReason = reason
        return true
    }

    package mutating func started(_ operation: OperationSet) {
        precondition(inFlight.isDisjoint(with: operation))
        inFlight.formUnion(operation)
    }

    package mutating func finished(_ operation: OperationSet) {
        precondition(inFlight.isSuperset(of: operation))
        inFlight.subtract(operation)
    }

    package var isReleasable: Bool { state == .closing && inFlight.isEmpty }

    package mutating func release() {
        precondition(isReleasable)
        state = .free
    }
}
