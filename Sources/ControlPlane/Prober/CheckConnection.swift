// SPDX-License-Identifier: Apache-2.0
//
// One connection of one check. Its result is known once; a connection over which bytes went may outlive that for a
// moment, so that the peer sees an orderly end and logs no error.
//
//     connecting ──▶ sending ──▶ receiving ──▶ leaving ──▶ done        connecting → sending     advance
//      │  │   │       │   ▲          │                      ▲          sending → receiving      advance, all is sent
//      │  │   └───────┼───┼──────────┴──────────────────────┤          … → leaving              leave, after an answer
//      │  └─▶ securing ───┘ with TLS                        │          … → done                 result, end, deadline
//      └───────────────── failed, nothing to wait for ──────┘          connecting → securing → sending    advance

import Health
import LinuxIO
import Patterns
import ProxyConfig
import TLSEngine

/// How a check begins.
enum CheckOpening {
    case open(CheckConnection)
    /// The check has its result already.
    case failed(HealthFault)
    /// This process lacks something; the peer is not to blame.
    case abandoned(Errno)
}

final class CheckConnection {
    private enum Phase { case connecting, securing, sending, receiving, leaving, done }

    /// How long a peer may take to close its side after the answer.
    private static let leavingMilliseconds: UInt64 = 1_000
    /// Bytes of an answer that are kept to see whether it is a CONNACK.
    private static let headBytesMax = 7

    let check: CheckID
    private let socket: Descriptor
    private let tls: CheckTLS?
    private let message: [UInt8]
    private var matcher: AnswerMatcher?
    private let answerDeadlineMilliseconds: UInt64
    private(set) var deadlineMilliseconds: UInt64
    private var phase = Phase.connecting
    private var sentCount = 0
    private var head: [UInt8] = []

    private init(
        _ id: CheckID, _ check: HealthRoster.Check, socket: consuming Descriptor, tls: CheckTLS?,
        nowMilliseconds: UInt64
    ) {
        self.check = id
        self.socket = socket
        self.tls = tls
        let definition = check.definition
        message = definition.match?.send ?? []
        matcher = check.expectation.map { AnswerMatcher($0, bytesMax: definition.answerBytesMax) }
        answerDeadlineMilliseconds = nowMilliseconds + definition.timeoutMilliseconds
        deadlineMilliseconds =
            nowMilliseconds + min(definition.connectTimeoutMilliseconds, definition.timeoutMilliseconds)
    }

    /// `context`: of the check's `tls`, where it has one.
    static func open(
        _ id: CheckID, _ check: HealthRoster.Check, _ context: TLSClientContext?, nowMilliseconds: UInt64
    ) -> CheckOpening {
        do throws(Errno) {
            var tls: CheckTLS? = nil
            if let context {
                tls = CheckTLS(context)
                if tls == nil { throw Errno.outOfMemory }
            }
            let address = try SocketAddress(check.definition.target)
            let socket = try Sockets.makeStream(for: address)
            _ = try Sockets.connect(socket.number, to: address)
            return .open(CheckConnection(id, check, socket: socket, tls: tls, nowMilliseconds: nowMilliseconds))
        } catch {
            switch error {
            case .descriptorsUsedUp, .systemTableFull, .noBuffers, .outOfMemory, .addressNotAvailable:
                return .abandoned(error)
            default: return .failed(.connectFailed(error.fault))
            }
        }
    }

    var isDone: Bool { phase == .done }

    /// What to poll for.
    var pollEntry: PollEntry {
        switch phase {
        case .securing: PollEntry(socket.number, tls?.hasOutput == true ? .writable : .readable)
        case .connecting, .sending: PollEntry(socket.number, .writable)
        case .receiving, .leaving: PollEntry(socket.number, .readable)
        case .done: PollEntry(-1, [])
        }
    }

    // MARK: Events

    /// The socket has something to say. A result once, when it is known.
    func advance(
        nowMilliseconds: UInt64, buffer: inout [UInt8], patterns: inout PatternMatcher
    ) -> CheckResult? {
        if phase == .connecting {
            do throws(Errno) {
                if let error = try Sockets.takeError(socket.number) { throw error }
            } catch {
                return finish(.failed(.connectFailed(error.fault)))
            }
            phase = tls == nil ? .sending : .securing
            deadlineMilliseconds = answerDeadlineMilliseconds
        }
        if phase == .securing, let tls, let result = secure(tls, nowMilliseconds, &buffer) { return result }
        if phase == .sending, let result = send(nowMilliseconds) { return result }
        switch phase {
        case .receiving: return receive(nowMilliseconds, &buffer, &patterns)
        case .leaving:
            discard(&buffer)
            return nil
        case .connecting, .securing, .sending, .done: return nil
        }
    }

    /// The deadline has passed.
    func expire(patterns: inout PatternMatcher) -> CheckResult? {
        switch phase {
        case .connecting: return finish(.failed(.connectTimedOut))
        case .securing: return finish(.failed(.handshakeTimedOut))
        case .sending: return finish(.failed(.sendTimedOut))
        case .receiving:
            guard case .mismatched(let fault)? = matcher?.end(.timedOut, with: &patterns) else {
                return finish(.passed)
            }
            return finish(.failed(fault))
        case .leaving, .done:
            phase = .done
            return nil
        }
    }

    /// Without `match` the finished handshake is what was asked for.
    private func secure(_ tls: CheckTLS, _ nowMilliseconds: UInt64, _ buffer: inout [UInt8]) -> CheckResult? {
        do throws(Errno) {
            while true {
                if tls.progress == .failed {
                    // The alert is for the peer's log; the check has failed whether or not it gets there.
                    try? tls.flush(to: socket.number)
                    return finish(.failed(.handshakeFailed(tls.fault)))
                }
                try tls.flush(to: socket.number)
                if tls.progress == .done { break }
                let count = try receive(into: &buffer)
                guard count > 0 else {
                    return finish(.failed(.handshakeFailed("peer closed connection in SSL handshake")))
                }
                tls.shakeHands(buffer[..<count])
            }
        } catch Errno.wouldBlock {
            return nil
        } catch {
            return finish(.failed(.handshakeFailed("\(error.numberedText)")))
        }
        phase = .sending
        if !message.isEmpty, !tls.seal(message[...]) { return finish(.failed(.sessionFailed(tls.fault))) }
        sentCount = message.count
        return nil
    }

    private func send(_ nowMilliseconds: UInt64) -> CheckResult? {
        do throws(Errno) {
            if let tls { try tls.flush(to: socket.number) }
            while sentCount < message.count {
                sentCount += try Sockets.send(socket.number, message[sentCount...])
            }
        } catch Errno.wouldBlock {
            return nil
        } catch {
            return finish(.failed(.sendFailed(error.fault)))
        }
        // The peer of a TLS session hears close_notify, or logs an error.
        guard matcher != nil else { return leave(.passed, isOpen: tls != nil, nowMilliseconds) }
        phase = .receiving
        return nil
    }

    private func receive(
        _ nowMilliseconds: UInt64, _ buffer: inout [UInt8], _ patterns: inout PatternMatcher
    ) -> CheckResult? {
        // What came with the end of the handshake is read without waiting for more.
        if let tls, tls.hasInput, let result = take(tls.open([]), nowMilliseconds, &patterns) { return result }
        var count = 0
        var end: AnswerEnd? = nil
        do throws(Errno) {
            count = try receive(into: &buffer)
            if count == 0 { end = .closed }
        } catch Errno.wouldBlock {
            return nil
        } catch {
            end = .failed(error.fault)
        }
        if let tls, end == nil { return take(tls.open(buffer[..<count]), nowMilliseconds, &patterns) }
        return judge(buffer[..<count], end, nowMilliseconds, &patterns)
    }

    private func take(
        _ opened: CheckTLS.Opened, _ nowMilliseconds: UInt64, _ patterns: inout PatternMatcher
    ) -> CheckResult? {
        // An answer to a KeyUpdate; what the socket does not take now goes with the next.
        try? tls?.flush(to: socket.number)
        switch opened {
        case .bytes(let plain): return judge(plain[...], nil, nowMilliseconds, &patterns)
        case .closed(let plain):
            return judge(plain[...], nil, nowMilliseconds, &patterns) ?? judge([], .closed, nowMilliseconds, &patterns)
        case .failed(let words): return finish(.failed(.sessionFailed(words)))
        }
    }

    /// The next piece of the answer, and then its end, if this is it.
    private func judge(
        _ bytes: ArraySlice<UInt8>, _ end: AnswerEnd?, _ nowMilliseconds: UInt64, _ patterns: inout PatternMatcher
    ) -> CheckResult? {
        head.append(contentsOf: bytes.prefix(CheckConnection.headBytesMax - head.count))
        let verdict =
            if let end {
                matcher?.end(end, with: &patterns)
            } else {
                matcher?.feed(bytes.span, with: &patterns)
            }
        switch verdict {
        case .needsMore, nil: return nil
        case .matched: return leave(.passed, isOpen: end == nil, nowMilliseconds)
        case .mismatched(let fault): return leave(.failed(fault), isOpen: end == nil, nowMilliseconds)
        }
    }

    private func receive(into buffer: inout [UInt8]) throws(Errno) -> Int {
        var room = buffer.mutableSpan
        return try unsafe room.withUnsafeMutableBytes { bytes throws(Errno) in
            try unsafe Sockets.receive(socket.number, into: bytes)
        }
    }

    // MARK: End

    private func finish(_ result: CheckResult) -> CheckResult {
        phase = .done
        return result
    }

    /// Says goodbye after an answer. Closing a socket that has unread bytes, or gets more later, would reset the
    /// connection (RFC 9293 section 3.10.4; RFC 1122 section 4.2.2.13), so the peer gets a moment to close first.
    private func leave(_ result: CheckResult, isOpen: Bool, _ nowMilliseconds: UInt64) -> CheckResult {
        guard isOpen else { return finish(result) }
        do throws(Errno) {
            if let tls {
                if isAcceptedByBroker { _ = tls.seal(CheckConnection.disconnect[...]) }
                tls.closeWriting()
                try tls.flush(to: socket.number)
            } else if isAcceptedByBroker {
                _ = try Sockets.send(socket.number, CheckConnection.disconnect[...])
            }
            try Sockets.shutdown(socket.number, .sending)
        } catch {
            return finish(result)
        }
        phase = .leaving
        deadlineMilliseconds = nowMilliseconds + CheckConnection.leavingMilliseconds
        return result
    }

    private func discard(_ buffer: inout [UInt8]) {
        do throws(Errno) {
            if try receive(into: &buffer) == 0 { phase = .done }
        } catch Errno.wouldBlock {
            return
        } catch {
            phase = .done
        }
    }

    /// MQTT 3.1.1 section 3.14, and MQTT 5 section 3.14 with its reason left out.
    private static let disconnect: [UInt8] = [0xE0, 0x00]

    /// We have sent a CONNECT and the broker has taken us for a client: it expects a DISCONNECT and complains about any
    /// other end.
    private var isAcceptedByBroker: Bool {
        guard message.first == 0x10, head.first == 0x20 else { return false }
        guard let lengthEnd = head.dropFirst().firstIndex(where: { $0 & 0x80 == 0 }) else { return false }
        return lengthEnd + 2 < head.count && head[lengthEnd + 2] == 0
    }
}

extension Errno {
    fileprivate var fault: SystemFault { SystemFault(code: rawValue, text: text) }
}
