// SPDX-License-Identifier: Apache-2.0
//
// The session machine's table: where each event leads, the first close reason stands, and a slot is free only when the
// kernel has let go.

import SessionCore
import Testing
import Vocabulary

@Suite("the session machine")
struct SessionMachineTests {
    @Test("walks its whole way, and back for another server")
    func way() {
        var machine = SessionMachine()
        #expect(machine.state == .free)
        machine.begin()
        #expect(machine.state == .routing)
        machine.handshake()
        #expect(machine.state == .handshaking)
        machine.preread()
        #expect(machine.state == .prereading)
        machine.route()
        #expect(machine.state == .routing)
        machine.connect()
        #expect(machine.state == .connecting)
        machine.retry()
        #expect(machine.state == .routing)
        machine.connect()
        machine.secure()
        #expect(machine.state == .securing)
        machine.forward()
        #expect(machine.state == .forwarding)
    }

    @Test("asks about the client after the handshake, and goes on from there as if it had not")
    func asking() {
        var machine = SessionMachine()
        machine.begin()
        machine.handshake()
        machine.ask()
        #expect(machine.state == .asking)
        machine.started(.connect)
        machine.finished(.connect)
        machine.answered()
        #expect(machine.state == .handshaking)
        machine.preread()
        #expect(machine.state == .prereading)
    }

    @Test("a session that closes while it asks waits for the responder's operations")
    func closingWhileAsking() {
        var machine = SessionMachine()
        machine.begin()
        machine.handshake()
        machine.ask()
        machine.started([.receiveBroker])
        machine.started([.sendBroker])
        let isFirst = machine.close(.tlsHandshakeTimeout)
        #expect(isFirst)
        machine.finished(.receiveBroker)
        #expect(!machine.isReleasable)
        machine.finished(.sendBroker)
        #expect(machine.isReleasable)
    }

    @Test("begins with routing where nothing is read before")
    func withoutPreread() {
        var machine = SessionMachine()
        machine.begin()
        #expect(machine.state == .routing)
        machine.respond()
        #expect(machine.state == .responding)
    }

    @Test("keeps the first reason of two closes")
    func firstReason() {
        var machine = SessionMachine()
        machine.begin()
        let isFirst = machine.close(.clientClosed)
        let isSecond = machine.close(.shutdown)
        #expect(isFirst && !isSecond)
        #expect(machine.closeReason == .clientClosed)
    }

    @Test("is released only after every operation has come back")
    func release() {
        var machine = SessionMachine()
        machine.begin()
        machine.connect()
        machine.started(.connect)
        machine.started(.sendBroker)
        _ = machine.close(.shutdown)
        #expect(!machine.isReleasable)
        machine.finished(.sendBroker)
        #expect(!machine.isReleasable)
        machine.finished(.connect)
        #expect(machine.isReleasable)
        machine.release()
        #expect(machine.state == .free)
        #expect(machine.inFlight.isEmpty)
    }
}
