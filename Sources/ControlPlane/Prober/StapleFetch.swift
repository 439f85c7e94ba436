// SPDX-License-Identifier: Apache-2.0
//
// One question to a responder, as nginx asks it: the addresses of its host one after the other, until one of them
// answers with something. What the answer is worth is the caller's business.
//
//     connecting ──▶ sending ──▶ receiving ──▶ done, with an answer
//      │              │           │
//      └──────────────┴───────────┴──▶ connecting to the next address, or done without an answer

import LinuxIO
import ProxyConfig
import TLSEngine
import TLSWire
import Vocabulary

final class StapleFetch {
    private enum Phase { case connecting, sending, receiving, done }

    let target: StapleTarget
    private let request: [UInt8]
    /// For each address.
    private let timeoutMilliseconds: UInt64
    private var endpointIndex = 0
    private var socket: Descriptor? = nil
    private var phase = Phase.connecting
    private var sentCount = 0
    private var answer = ResponderAnswer()
    private(set) var deadlineMilliseconds: UInt64 = 0
    /// What went wrong since `takeLines`.
    private var lines: [String] = []

    /// Begins; may be done at once.
    init(_ target: StapleTarget, question: [UInt8], timeoutMilliseconds: UInt64, nowMilliseconds: UInt64) {
        self.target = target
        self.timeoutMilliseconds = timeoutMilliseconds
        request = target.responder.request(question)
        connect(nowMilliseconds)
    }

    var isDone: Bool { phase == .done }

    /// The OCSP response in DER, once done; nil: nobody gave one.
    private(set) var response: [UInt8]? = nil

    /// What to poll for.
    var pollEntry: PollEntry {
        switch phase {
        case .connecting, .sending: PollEntry(socket?.number ?? -1, .writable)
        case .receiving: PollEntry(socket?.number ?? -1, .readable)
        case .done: PollEntry(-1, [])
        }
    }

    /// Lines for the log, at level error.
    func takeLines() -> [String] {
        defer { lines = [] }
        return lines
    }

    /// nginx's tail of a line about this question.
    func line(_ words: String) -> String {
        let peer = endpointIndex < target.endpoints.count ? ", peer: \(target.endpoints[endpointIndex].text)" : ""
        let host = String(decoding: target.responder.host, as: UTF8.self)
        return "\(words) while requesting certificate status, responder: \(host)\(peer), "
            + "certificate: \"\(target.certificate.name)\""
    }

    // MARK: Events

    /// The socket has something to say.
    func advance(nowMilliseconds: UInt64, buffer: inout [UInt8]) {
        guard let number = socket?.number else { return }
        if phase == .connecting {
            do throws(Errno) {
                if let error = try Sockets.takeError(number) { throw error }
            } catch { return fail(connectFault(error), nowMilliseconds) }
            phase = .sending
        }
        if phase == .sending {
            do throws(Errno) {
                while sentCount < request.count { sentCount += try Sockets.send(number, request[sentCount...]) }
            } catch Errno.wouldBlock {
                return
            } catch { return fail("send() failed (\(error.numberedText))", nowMilliseconds) }
            phase = .receiving
        } else if phase == .receiving {
            receive(number, nowMilliseconds, &buffer)
        }
    }

    /// The deadline has passed.
    func expire(nowMilliseconds: UInt64) {
        guard phase != .done else { return }
        fail("OCSP responder timed out (110: Connection timed out)", nowMilliseconds)
    }

    private func receive(_ number: Int32, _ nowMilliseconds: UInt64, _ buffer: inout [UInt8]) {
        let progress: ResponderAnswer.Progress
        do throws(Errno) {
            var room = buffer.mutableSpan
            let count = try unsafe room.withUnsafeMutableBytes { bytes throws(Errno) in
                try unsafe Sockets.receive(number, into: bytes)
            }
            progress = count == 0 ? answer.end() : answer.take(buffer.span.extracting(0..<count))
        } catch Errno.wouldBlock {
            return
        } catch { return fail("recv() failed (\(error.numberedText))", nowMilliseconds) }
        switch progress {
        case .needsMore: break
        case .complete:
            response = answer.body
            phase = .done
            socket = nil
        case .failed(let fault): fail(fault.words, nowMilliseconds)
        }
    }

    // MARK: Addresses

    private func fail(_ words: String, _ nowMilliseconds: UInt64) {
        lines.append(line(words))
        socket = nil
        endpointIndex += 1
        connect(nowMilliseconds)
    }

    private func connect(_ nowMilliseconds: UInt64) {
        while endpointIndex < target.endpoints.count {
            phase = .connecting
            sentCount = 0
            answer = ResponderAnswer()
            deadlineMilliseconds = nowMilliseconds + timeoutMilliseconds
            do throws(Errno) {
                let address = try SocketAddress(.ip(target.endpoints[endpointIndex]))
                let made = try Sockets.makeStream(for: address)
                _ = try Sockets.connect(made.number, to: address)
                socket = consume made
                return
            } catch {
                lines.append(line(connectFault(error)))
                endpointIndex += 1
            }
        }
        phase = .done
    }

    private func connectFault(_ error: Errno) -> String {
        "connect() to \(target.endpoints[endpointIndex].text) failed (\(error.numberedText))"
    }
}
