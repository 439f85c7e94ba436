// SPDX-License-Identifier: Apache-2.0
//
// One direction's table: each event in each state, with what is pending afterwards, and the change between copying and
// splicing in both directions.

import SessionCore
import Testing

@Suite("the direction machine")
struct DirectionMachineTests {
    private func receiving() -> DirectionMachine {
        var machine = DirectionMachine()
        _ = machine.start(pending: 0)
        return machine
    }

    /// A machine that has just moved a burst.
    private func bursting() -> (machine: DirectionMachine, action: DirectionAction) {
        var machine = receiving()
        var action = DirectionAction.receive(expectsData: false)
        for _ in 0..<(DirectionMachine.burstBytesMin / 16_384) {
            _ = machine.received(16_384, hasMoreData: true, staysArmed: false)
            action = machine.sent(16_384)
        }
        return (machine, action)
    }

    @Test("starts by receiving, or by sending what was read before")
    func start() {
        var plain = DirectionMachine()
        #expect(plain.start(pending: 0) == .receive(expectsData: false))
        #expect(plain.state == .receiving)
        var loaded = DirectionMachine()
        #expect(loaded.start(pending: 30) == .drainRest)
        #expect(loaded.state == .draining)
        #expect(loaded.sent(10) == .drainRest)
        #expect(loaded.pendingBytes == 20)
        #expect(loaded.pendingOffset == 10)
        #expect(loaded.sent(20) == .receive(expectsData: false))
    }

    @Test("gives a message on and receives again")
    func message() {
        var machine = receiving()
        #expect(machine.received(100, hasMoreData: false, staysArmed: false) == .send(next: .later))
        #expect(machine.sent(100) == .receive(expectsData: false))
        #expect(machine.received(100, hasMoreData: true, staysArmed: false) == .send(next: .later))
        #expect(machine.sent(100) == .receive(expectsData: true))
        #expect(machine.pendingBytes == 0 && machine.pendingOffset == 0)
    }

    @Test("leaves the pool when the target has no room, at once or halfway", arguments: [0, 1, 99])
    func slowTarget(sent: Int) {
        var machine = receiving()
        _ = machine.received(100, hasMoreData: false, staysArmed: false)
        #expect(machine.sent(sent) == .drain)
        #expect(machine.pendingOffset == UInt32(sent))
        machine.movedToOwnMemory()
        #expect(machine.pendingOffset == 0)
        #expect(machine.pendingBytes == UInt32(100 - sent))
        #expect(machine.sent(0) == .drainRest)
        #expect(machine.sent(100 - sent) == .receive(expectsData: false))
    }

    @Test("waits when it is held and goes on when it is resumed")
    func held() {
        var machine = receiving()
        machine.held()
        #expect(machine.state == .held)
        #expect(machine.resumed() == .receive(expectsData: true))
        #expect(machine.state == .receiving)
    }

    @Test("a linked receive follows a message that was sent whole, and comes back when it was not")
    func linked() {
        var machine = receiving()
        machine.style = .linked
        #expect(machine.received(100, hasMoreData: false, staysArmed: false) == .send(next: .linked))
        #expect(machine.sent(100) == .none)
        #expect(machine.received(100, hasMoreData: false, staysArmed: false) == .send(next: .linked))
        #expect(machine.sent(40) == .drain)
        #expect(machine.linkBroke() == .none)
        machine.movedToOwnMemory()
        #expect(machine.sent(60) == .receive(expectsData: false))
        _ = machine.received(100, hasMoreData: false, staysArmed: false)
        #expect(machine.sent(0) == .drain)
        #expect(machine.sent(100) == .none)
        #expect(machine.linkBroke() == .receive(expectsData: false))
        #expect(machine.received(100, hasMoreData: true, staysArmed: false) == .send(next: .later))
    }

    @Test("what an armed receive brings waits behind what is being sent")
    func armed() {
        var machine = receiving()
        machine.style = .armed
        machine.armed()
        #expect(machine.received(100, hasMoreData: false, staysArmed: true) == .send(next: .armed))
        #expect(machine.received(50, hasMoreData: false, staysArmed: true) == .keepBehind)
        #expect(machine.sent(30) == .drain)
        machine.movedToOwnMemory()
        #expect(machine.received(7, hasMoreData: false, staysArmed: false) == .keepBehind)
        #expect(machine.waitingBytes == 57)
        #expect(machine.sent(70) == .drainBehind)
        #expect(machine.pendingBytes == 57 && machine.waitingBytes == 0 && machine.pendingOffset == 0)
        #expect(machine.sent(57) == .receive(expectsData: false))
    }

    @Test("an armed receive that ends while something is being sent is heard of afterwards")
    func armedEnds() {
        var machine = receiving()
        machine.armed()
        _ = machine.received(100, hasMoreData: false, staysArmed: true)
        #expect(machine.sourceEnded() == .none)
        #expect(machine.sent(100) == .finish)
        var starved = receiving()
        starved.armed()
        _ = starved.received(100, hasMoreData: false, staysArmed: true)
        #expect(starved.receiveLapsed(forWantOfBuffer: true) == .none)
        #expect(starved.sent(100) == .receive(expectsData: false))
        starved.armed()
        #expect(starved.receiveLapsed(forWantOfBuffer: true) == .none)
        #expect(starved.state == .held)
    }

    @Test("ends with its source")
    func end() {
        var machine = receiving()
        #expect(machine.sourceEnded() == .finish)
        #expect(machine.isSourceEnded)
        #expect(machine.state == .ended)
    }

    @Test("splices after a burst, where that is allowed")
    func burst() {
        #expect(bursting().action == .beginSplice)
        var refused = receiving()
        refused.isSpliceAllowed = false
        for _ in 0..<100 {
            _ = refused.received(16_384, hasMoreData: true, staysArmed: false)
            #expect(refused.sent(16_384) == .receive(expectsData: true))
        }
    }

    @Test("does not splice messages, however many there are")
    func messagesOnly() {
        var machine = receiving()
        for _ in 0..<10_000 {
            _ = machine.received(1000, hasMoreData: false, staysArmed: false)
            #expect(machine.sent(1000) == .receive(expectsData: false))
        }
    }

    @Test("copies on when no pipe is to be had")
    func noPipe() {
        var machine = bursting().machine
        #expect(machine.spliceRefused() == .receive(expectsData: true))
        _ = machine.received(16_384, hasMoreData: true, staysArmed: false)
        #expect(machine.sent(16_384) == .receive(expectsData: true))
    }

    @Test("waits for the side that has nothing or no room")
    func pumping() {
        var machine = bursting().machine
        #expect(machine.spliceBegan() == .awaitSource)
        #expect(machine.pumped(received: 50_000, sent: 20_000, isEnd: false) == .awaitTarget)
        #expect(machine.pendingBytes == 30_000)
        #expect(machine.pumped(received: 0, sent: 30_000, isEnd: false) == .awaitSource)
        #expect(machine.isSplicing)
    }

    @Test("empties the pipe before it passes the end on")
    func endOfSplice() {
        var machine = bursting().machine
        _ = machine.spliceBegan()
        #expect(machine.pumped(received: 50_000, sent: 20_000, isEnd: true) == .awaitTarget)
        #expect(machine.pumped(received: 0, sent: 29_999, isEnd: false) == .awaitTarget)
        #expect(machine.pumped(received: 0, sent: 1, isEnd: false) == .finish)
        #expect(machine.state == .ended)
    }

    @Test("copies again after enough calm wakes in a row")
    func calm() {
        var machine = bursting().machine
        _ = machine.spliceBegan()
        for _ in 1..<DirectionMachine.calmWakesMax {
            #expect(machine.pumped(received: 100, sent: 100, isEnd: false) == .awaitSource)
        }
        #expect(machine.pumped(received: 100_000, sent: 100_000, isEnd: false) == .awaitSource)
        for _ in 1..<DirectionMachine.calmWakesMax {
            #expect(machine.pumped(received: 100, sent: 100, isEnd: false) == .awaitSource)
        }
        #expect(machine.pumped(received: 100, sent: 100, isEnd: false) == .endSplice)
        #expect(machine.spliceEnded() == .receive(expectsData: false))
        #expect(machine.state == .receiving)
    }

    @Test("a goodbye inside the bytes waits for what is being sent, then ends")
    func goodbyeBehindBytes() {
        var machine = receiving()
        machine.style = .armed
        machine.armed()
        #expect(machine.received(100, hasMoreData: false, staysArmed: true) == .send(next: .armed))
        #expect(machine.sourceClosed() == .none)
        machine.receivedAfterEnd(staysArmed: true)
        #expect(machine.isArmed && machine.state == .sending)
        #expect(machine.sent(60) == .drain)
        machine.movedToOwnMemory()
        #expect(machine.sent(40) == .finish)
        #expect(machine.state == .ended)
        machine.receivedAfterEnd(staysArmed: false)
        #expect(!machine.isArmed)
    }

    @Test("a goodbye while nothing is pending ends at once")
    func goodbyeAlone() {
        var machine = receiving()
        #expect(machine.sourceClosed() == .finish)
        #expect(machine.state == .ended)
    }

    @Test("a goodbye behind a linked send leaves the receive that is canceled with it")
    func goodbyeBehindLink() {
        var machine = receiving()
        machine.style = .linked
        #expect(machine.received(100, hasMoreData: false, staysArmed: false) == .send(next: .linked))
        #expect(machine.sourceClosed() == .none)
        #expect(machine.sent(30) == .drain)
        machine.receivedAfterEnd(staysArmed: false)
        #expect(machine.sent(70) == .finish)
    }

    @Test("a part of a record is nothing: the armed receive goes on, a single one is queued again")
    func partOfRecord() {
        var single = receiving()
        #expect(single.receivedNothing(staysArmed: false) == .receive(expectsData: false))
        var armed = receiving()
        armed.armed()
        #expect(armed.receivedNothing(staysArmed: true) == .none)
        _ = armed.received(10, hasMoreData: false, staysArmed: true)
        #expect(armed.receivedNothing(staysArmed: false) == .none)
        #expect(armed.sent(10) == .receive(expectsData: false))
    }
}
