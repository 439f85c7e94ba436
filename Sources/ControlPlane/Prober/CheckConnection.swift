// SPDX-License-Identifier: Apache-2.0
//
// One connection of one check. Its result is known once; a connection over which bytes went may outlive that for a
// moment, so that the peer sees an orderly end and logs no error.
//
//     connecting ──▶ sending ──▶ receiving ──▶ leaving ──▶ done        connecting → sending     advance
//         │   │         │            │                      ▲          sending → receiving      advance, all is sent
//         │   └─────────┴────────────┴──────────────────────┤          … → leaving              leave, after an answer
//         └────────────── failed, nothing to wait for ──────┘          … → done                 result, end, deadline

import Health
import LinuxIO
import Patterns
import ProxyConfig

/// How a check begins.
enum CheckOpening {
    case open(CheckConnection)
    /// The check has its result already.
    case failed(HealthFault)
    /// This process lacks something; the peer is not to blame.
    case abandoned(Errno)
}

final class CheckConnection {
    private enum Phase { case connecting, sending, receiving, leaving, done }

    /// How long a peer may take to close its side after the answer.
    private static let leavingMilliseconds: UInt64 = 1_000
    /// Bytes of an answer that are kept to see whether it is a CONNACK.
    private static let headBytesMax = 7

    let check: CheckID
    private let socket: Descriptor
    private let message: [UInt8]
    private var matcher: AnswerMatcher?
    private let answerDeadlineMilliseconds: UInt64
    private(set) var deadlineMilliseconds: UInt64
    private var phase = Phase.connecting
    private var sentCount = 0
    private var head: [UInt8] = []

    private init(
        _ id: CheckID, _ check: HealthRoster.Check, socket: consuming Descriptor, nowMilliseconds: UInt64
    ) {
        self.check = id
        self.socket = socket
        let definition = check.definition
        message = definition.match?.send ?? []
        matcher = check.expectation.map { AnswerMatcher($0, bytesMax: definition.answerBytesMax) }
        answerDeadlineMilliseconds = nowMilliseconds + definition.timeoutMilliseconds
        deadlineMilliseconds =
            nowMilliseconds + min(definition.connectTimeoutMilliseconds, definition.timeoutMilliseconds)
    }

    static func open(_ id: CheckID, _ check: HealthRoster.Check, nowMilliseconds: UInt64) -> CheckOpening {
        do throws(Errno) {
            let address = try SocketAddress(check.definition.target)
            let socket = try Sockets.makeStream(for: address)
            _ = try Sockets.connect(socket.number, to: address)
            return .open(CheckConnection(id, check, socket: socket, nowMilliseconds: nowMilliseconds))
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
            phase = .sending
            deadlineMilliseconds = answerDeadlineMilliseconds
        }
        if phase == .sending, let result = send() { return result }
        switch phase {
        case .receiving: return receive(nowMilliseconds, &buffer, &patterns)
        case .leaving:
            discard(&buffer)
            return nil
        case .connecting, .sending, .done: return nil
        }
    }

    /// The deadline has passed.
    func expire(patterns: inout PatternMatcher) -> CheckResult? {
        switch phase {
        case .connecting: return finish(.failed(.connectTimedOut))
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

    private func send() -> CheckResult? {
        do throws(Errno) {
            while sentCount < message.count {
                sentCount += try Sockets.send(socket.number, message[sentCount...])
            }
        } catch Errno.wouldBlock {
            return nil
        } catch {
            return finish(.failed(.sendFailed(error.fault)))
        }
        guard matcher != nil else { return finish(.passed) }
        phase = .receiving
        return nil
    }

    private func receive(
        _ nowMilliseconds: UInt64, _ buffer: inout [UInt8], _ patterns: inout PatternMatcher
    ) -> CheckResult? {
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
        head.append(contentsOf: buffer[..<min(count, CheckConnection.headBytesMax - head.count)])
        let verdict =
            if let end {
                matcher?.end(end, with: &patterns)
            } else {
                matcher?.feed(buffer.span.extracting(..<count), with: &patterns)
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
            if isAcceptedByBroker { _ = try Sockets.send(socket.number, CheckConnection.disconnect[...]) }
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
