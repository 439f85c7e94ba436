// SPDX-License-Identifier: Apache-2.0
//
// The admin process's questions about sessions (ControlLink/SessionQuery). An answer is made in slices between the
// worker's other work: so many slots are looked at and so many sessions told of in a turn, whatever was asked. A reader
// that does not read holds up its own question and nothing else. One question at a time; the others wait in the socket.
//
//   socket readable ──▶ question ──▶ slice ─▶ slice ─▶ … ─▶ end ──▶ socket readable …
//                                      │ ▲
//                                      ▼ │ no room: socket writable

import ControlLink
import EventLoop
import LinuxIO
import MQTTWire
import SessionCore
import SharedState
import Vocabulary

extension Worker where K: ~Copyable {
    /// About 25 µs when all of it misses the caches.
    private static var slotsEachSlice: Int { 256 }
    private static var sessionsEachSlice: Int { 64 }

    /// The master has made a new pair.
    mutating func takeQuestions(from descriptor: consuming Descriptor) {
        let former = questions.token
        if questions.socket != nil { kernel.queueCancel(target: former) }
        questions.replace(QuestionSocket(descriptor))
        watchQuestions(.readable)
    }

    private mutating func watchQuestions(_ events: PollEvents) {
        guard let number = questions.socket?.packets.number else { return }
        kernel.queuePoll(descriptor: number, events: events, token: questions.token)
    }

    mutating func questionSocketIsReady(_ completion: Completion) {
        guard completion.token.generation == questions.generation, questions.socket != nil else { return }
        guard completion.result >= 0 else { return questions.replace(nil) }
        if questions.isBlocked {
            questions.isBlocked = false
        } else if questions.question == nil {
            readQuestion()
        }
    }

    private mutating func readQuestion() {
        let reception: PacketSocket.Reception
        do throws(Errno) {
            // One byte more than any query, so that what is too long is seen to be.
            guard let received = try questions.socket?.packets.receive(bytesMax: SessionQuery.packetBytesMax + 1)
            else { return }
            reception = received
        } catch {
            return questions.replace(nil)
        }
        switch consume reception {
        case .wouldBlock: watchQuestions(.readable)
        case .ended: questions.replace(nil)
        case .packet(let bytes, let descriptor, let isCut):
            _ = consume descriptor
            region.countInquiry(identity.slot)
            open(SessionQuery.number(ofPacket: bytes) ?? 0, isCut ? nil : SessionQuery(packet: bytes))
        }
    }

    private mutating func open(_ number: UInt32, _ query: SessionQuery?) {
        var question = OpenQuestion(
            number: number, query: query ?? SessionQuery(.topBytes), slot: Int(query?.cursor ?? 0))
        if query == nil {
            question.unsent = [SessionAnswer.refused.packet(number: number)]
            question.isSaid = true
        }
        questions.question = question
    }

    // MARK: - A slice

    mutating func answerSlice() {
        guard var question = questions.question.take() else { return }
        if question.unsent.isEmpty && !question.isSaid {
            switch question.query.subject {
            case .list(let filter): listSlice(filter, &question)
            case .close(let id): closeSlice(id, &question)
            case .topBytes: topSlice(&question)
            case .topReconnects:
                tell(reconnects.top(question.query.limit, now: kernel.nowMilliseconds), &question)
                end(&question, next: nil)
            }
        }
        guard send(&question) else { return questions.replace(nil) }
        if question.isSaid && question.unsent.isEmpty {
            watchQuestions(.readable)
            return
        }
        questions.question = question
        guard !question.unsent.isEmpty else { return }
        questions.isBlocked = true
        watchQuestions(.writable)
    }

    /// False: the reader has gone.
    private func send(_ question: inout OpenQuestion) -> Bool {
        do throws(Errno) {
            while let packet = question.unsent.first {
                guard try questions.socket?.packets.send(packet) ?? true else { return true }
                question.unsent.removeFirst()
            }
            return true
        } catch {
            return false
        }
    }

    private func end(_ question: inout OpenQuestion, next: UInt32?) {
        question.unsent.append(SessionAnswer.end(next: next).packet(number: question.number))
        question.isSaid = true
    }

    private func tell(_ sessions: [SessionFacts], _ question: inout OpenQuestion) {
        for start in stride(from: 0, to: sessions.count, by: SessionAnswer.entriesMax) {
            let part = sessions[start..<min(sessions.count, start + SessionAnswer.entriesMax)]
            question.unsent.append(SessionAnswer.sessions(Array(part)).packet(number: question.number))
        }
    }

    private func tell(_ clients: [ReconnectFacts], _ question: inout OpenQuestion) {
        for start in stride(from: 0, to: clients.count, by: SessionAnswer.entriesMax) {
            let part = clients[start..<min(clients.count, start + SessionAnswer.entriesMax)]
            question.unsent.append(SessionAnswer.reconnects(Array(part)).packet(number: question.number))
        }
    }

    // MARK: - Subjects

    private func listSlice(_ filter: SessionFilter, _ question: inout OpenQuestion) {
        let last = min(sessions.highWater, question.slot + Self.slotsEachSlice)
        let room = min(Self.sessionsEachSlice, question.query.limit - question.found)
        var found: [SessionFacts] = []
        while question.slot < last && found.count < room {
            if isAlive(question.slot), matches(question.slot, filter) { found.append(facts(of: question.slot)) }
            question.slot += 1
        }
        question.found += found.count
        tell(found, &question)
        if question.slot >= sessions.highWater {
            end(&question, next: nil)
        } else if question.found == question.query.limit {
            end(&question, next: UInt32(question.slot))
        }
    }

    private mutating func closeSlice(_ id: SessionID, _ question: inout OpenQuestion) {
        let last = min(sessions.highWater, question.slot + Self.slotsEachSlice)
        guard id.run == identity.run, id.worker == identity.slot.index else { return end(&question, next: nil) }
        while question.slot < last {
            let slot = question.slot
            question.slot += 1
            guard isAlive(slot), sessions[slot].number == id.number else { continue }
            tell([facts(of: slot)], &question)
            logSession(.notice, slot, "closed by an administrator")
            close(slot, .administrator)
            return end(&question, next: nil)
        }
        if question.slot >= sessions.highWater { end(&question, next: nil) }
    }

    /// First all slots are looked at, then the best are told of.
    private func topSlice(_ question: inout OpenQuestion) {
        if !question.isSorted {
            let last = min(sessions.highWater, question.slot + Self.slotsEachSlice)
            while question.slot < last {
                let slot = question.slot
                question.slot += 1
                guard isAlive(slot) else { continue }
                let bytes = sessions[slot].upload.received + sessions[slot].download.sent
                question.best.append(Mover(bytes: bytes, slot: slot, number: sessions[slot].number))
            }
            let isDone = question.slot >= sessions.highWater
            // Twice the limit at most, so that no slice sorts more than that and its own slots.
            guard isDone || question.best.count > 2 * question.query.limit else { return }
            question.best.sort { $0.bytes != $1.bytes ? $0.bytes > $1.bytes : $0.number < $1.number }
            question.best.removeLast(max(0, question.best.count - question.query.limit))
            guard isDone else { return }
            question.best.reverse()
            question.isSorted = true
        }
        var found: [SessionFacts] = []
        while found.count < Self.sessionsEachSlice, let mover = question.best.popLast() {
            guard isAlive(mover.slot), sessions[mover.slot].number == mover.number else { continue }
            found.append(facts(of: mover.slot))
        }
        tell(found, &question)
        if question.best.isEmpty { end(&question, next: nil) }
    }

    // MARK: - One session

    private func isAlive(_ slot: Int) -> Bool {
        switch sessions[slot].machine.state {
        case .free, .closing: false
        case .routing, .handshaking, .asking, .prereading, .connecting, .securing, .forwarding, .responding: true
        }
    }

    private func matches(_ slot: Int, _ filter: SessionFilter) -> Bool {
        if let client = filter.client, sessions[slot].clientEndpoint?.address != client { return false }
        if let port = filter.clientPort, sessions[slot].clientEndpoint?.port != port { return false }
        if !filter.peers.isEmpty {
            guard let peer = sessions[slot].peer, filter.peers.contains(UInt32(peer.index)) else { return false }
        }
        guard let clientID = filter.clientID else { return true }
        guard sessions[slot].connect != nil, sessions[slot].clientID.count == clientID.count else { return false }
        let bytes = unsafe sessions[slot].preread.bytes[sessions[slot].clientID.range]
        return unsafe bytes.elementsEqual(clientID)
    }

    private func facts(of slot: Int) -> SessionFacts {
        let now = kernel.nowMilliseconds
        let number = sessions[slot].number
        var facts = SessionFacts(id: SessionID(run: identity.run, number: number), phase: phase(of: slot))
        if let connect = sessions[slot].connect {
            let bytes = unsafe sessions[slot].preread.bytes[sessions[slot].clientID.range]
            facts.clientID = unsafe Array(bytes.prefix(SessionFacts.clientIDBytesMax))
            facts.isClientIDCut = unsafe bytes.count > SessionFacts.clientIDBytesMax
            facts.keepAlive = connect.keepAliveSeconds
            facts.mqttLevel = connect.version.level
            facts.isCleanStart = connect.isCleanStart
        }
        facts.client = sessions[slot].clientEndpoint
        facts.listener = listeners[Int(sessions[slot].listener)].text
        facts.zone = sessions[slot].zone.map { UInt32($0.index) }
        facts.peer = sessions[slot].peer.map { UInt32($0.index) }
        if sessions[slot].hasPresentTry {
            var address: [UInt8] = []
            appendBrokerAddress(of: slot, to: &address)
            facts.broker = String(decoding: address, as: UTF8.self)
        }
        facts.ageMilliseconds = now - sessions[slot].startedAt
        facts.idleMilliseconds = now - min(now, sessions[slot].lastActivityAt)
        facts.received = sessions[slot].upload.received
        facts.sent = sessions[slot].download.sent
        facts.isTLS = sessions[slot].clientTLS != nil
        facts.isBrokerTLS = sessions[slot].brokerTLS != nil
        return facts
    }

    private func phase(of slot: Int) -> SessionPhase {
        switch sessions[slot].machine.state {
        case .handshaking, .asking: .handshaking
        case .prereading: .prereading
        case .routing, .connecting, .securing: .connecting
        case .forwarding: .forwarding
        case .responding: .responding
        case .free, .closing: .closing
        }
    }
}
