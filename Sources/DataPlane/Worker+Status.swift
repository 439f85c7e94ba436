// SPDX-License-Identifier: Apache-2.0
//
// `ssl_ocsp`: between the handshake and what follows it, the responder of each of the client's certificates is asked
// whether it was revoked. As nginx: one certificate after the other, no answer is as bad as a bad one, the handshake's
// time covers the questions as well, and a client that leaves meanwhile is noticed when they are over.
//
//     askNext ──(no more, or an answer that is not good)──▶ endAsking
//       ▲ └──(not in the cache)──▶ connect ──▶ send and receive ──▶ judge ─┐
//       │                            ▲ └──(failed)──▶ the next address     │
//       └────────────────────────────┴─────────── settle ◀─────────────────┘
//
// The responder's socket stands in the session's place for a broker's, which it has not yet. Between two connections
// the kernel must have let go of the former one: `settle` waits for that.

import CShared
import EventLoop
import LinuxIO
import ProxyConfig
import SessionCore
import SharedState
import TLSEngine
import TLSWire
import Vocabulary

extension Worker where K: ~Copyable {
    /// How long an answer without a nextUpdate is good for the cache (nginx).
    private static var endlessSeconds: Int64 { 3600 }

    /// After the handshake. False when there is nothing to ask.
    mutating func beginAsking(_ slot: Int, _ tls: TLSConnection) -> Bool {
        guard let settings = settingsTable[sessions[slot].settings].tls?.settings, settings.clientOCSP != .off else {
            return false
        }
        do throws(TLSFault) {
            guard let chain = try StatusChain.ofClient(tls) else { return false }
            sessions[slot].inquiry = inquiries.add(StatusInquiry(chain: chain))
        } catch {
            logSession(.error, slot, "\(error.message) while SSL handshaking")
            close(slot, .tlsHandshakeFailed)
            return true
        }
        // Whatever ends the session before an answer is there: nobody has said that the certificate is good.
        tls.setClientStatus(.unanswered)
        sessions[slot].machine.ask()
        askNext(slot)
        return true
    }

    private var nowSeconds: Int64 { Int64(kernel.wallMilliseconds / 1000) }

    // MARK: - What to ask, and whom

    private mutating func askNext(_ slot: Int) {
        let inquiry = sessions[slot].inquiry
        let chain = inquiries[inquiry].chain
        let settings = settingsTable[sessions[slot].settings]
        guard let tls = settings.tls?.settings else { preconditionFailure("a status without a context") }
        let cache = settings.sharing.statusCache(tls)
        let count = tls.clientOCSP == .leaf ? min(1, chain.count) : chain.count
        while inquiries[inquiry].certificate < count {
            let certificate = inquiries[inquiry].certificate
            guard let responder = responder(of: certificate, tls, slot) else { return endAsking(slot, .unanswered) }
            inquiries[inquiry].host = responder.url.host
            do throws(TLSFault) {
                if let cache, let status = cache.status(of: try chain.key(of: certificate), nowSeconds: nowSeconds) {
                    guard status == .good else { return endAsking(slot, .answered(status)) }
                    inquiries[inquiry].certificate += 1
                    continue
                }
                inquiries[inquiry].request = responder.url.request(try chain.request(about: certificate))
            } catch {
                logAsking(.crit, slot, error.message)
                return endAsking(slot, .unanswered)
            }
            guard !responder.endpoints.isEmpty else {
                logAsking(
                    .error, slot,
                    "no resolver defined to resolve \(String(decoding: responder.url.host, as: UTF8.self))")
                return endAsking(slot, .unanswered)
            }
            inquiries[inquiry].endpoints = responder.endpoints
            inquiries[inquiry].endpoint = 0
            return connectResponder(slot)
        }
        endAsking(slot, .answered(.good))
    }

    /// The configured one, or the one that the certificate names; nil after a line in the log.
    private mutating func responder(
        of certificate: Int, _ settings: TLSServerSettings, _ slot: Int
    ) -> TLSServerSettings.Responder? {
        if let responder = settings.clientOCSPResponder { return responder }
        guard let text = inquiries[sessions[slot].inquiry].chain.responder(of: certificate) else {
            logSession(.error, slot, "no OCSP responder URL in certificate while SSL handshaking")
            return nil
        }
        do throws(ResponderURLFault) {
            let url = try ResponderURL(text)
            let address = IPAddress(text: String(decoding: url.address, as: UTF8.self))
            return TLSServerSettings.Responder(
                url: url, endpoints: address.map { [IPEndpoint(address: $0, port: url.port)] } ?? [])
        } catch {
            let shown = String(decoding: text, as: UTF8.self)
            logSession(
                .error, slot, "\(error.words) in OCSP responder \"\(shown)\" in certificate while SSL handshaking")
            return nil
        }
    }

    // MARK: - One connection to a responder

    private mutating func connectResponder(_ slot: Int) {
        let inquiry = sessions[slot].inquiry
        let address = SocketAddress(inquiries[inquiry].endpoints[inquiries[inquiry].endpoint])
        inquiries[inquiry].answer = ResponderAnswer()
        inquiries[inquiry].next = .answer
        inquiries[inquiry].isConnected = false
        sessions[slot].upload.own.free()
        sessions[slot].memoryOffset = 0
        guard sessions[slot].upload.own.append(inquiries[inquiry].request) else { return close(slot, .outOfResources) }
        let socket = kernel.openBrokerSocket(BrokerSocketRequest(address: address))
        guard socket >= 0 else {
            logAsking(.error, slot, "socket() failed (\(Errno(rawValue: -socket).numberedText))")
            return endAsking(slot, .unanswered)
        }
        sessions[slot].broker = socket
        brokerSocketCount += 1
        kernel.queueConnect(
            socket: socket, address: address, linksNext: false, token: begin(.connect, of: slot))
    }

    /// An operation on the responder's connection came back.
    mutating func askingCompleted(_ operation: Operation, _ completion: Completion, of slot: Int) {
        defer { if let buffer = completion.buffer { kernel.recycle(buffer) } }
        guard case .answer = inquiries[sessions[slot].inquiry].next else { return settle(slot) }
        switch operation {
        case .connect:
            guard completion.result >= 0 else {
                return tryNextAddress(
                    slot, "connect() failed (\(Errno(rawValue: -completion.result).numberedText))")
            }
            inquiries[sessions[slot].inquiry].isConnected = true
            sendRequest(slot)
            askMore(slot)
        case .sendBroker:
            guard completion.result > 0 else {
                return tryNextAddress(slot, "send() failed (\(Errno(rawValue: -completion.result).numberedText))")
            }
            sessions[slot].memoryOffset += UInt32(completion.result)
            if sessions[slot].memoryOffset < sessions[slot].upload.own.count { sendRequest(slot) }
        case .receiveBroker:
            answerReceived(completion, of: slot)
        case .receiveClient, .sendClient, .accept, .link, .signal, .question:
            preconditionFailure("\(operation) completed while asking")
        }
    }

    private mutating func sendRequest(_ slot: Int) {
        let offset = sessions[slot].memoryOffset
        let memory = sessions[slot].upload.own
        unsafe kernel.queueSend(
            socket: sessions[slot].broker, bytes: memory.pointer(at: offset), count: Int(memory.count - offset),
            mode: .waiting, token: begin(.sendBroker, of: slot))
    }

    /// Also where the receive found no buffer and there is one again.
    mutating func askMore(_ slot: Int) {
        let inquiry = sessions[slot].inquiry
        guard case .answer = inquiries[inquiry].next, inquiries[inquiry].isConnected,
            !sessions[slot].machine.inFlight.contains(.receiveBroker)
        else { return }
        kernel.queueReceive(
            socket: sessions[slot].broker, bytesMax: Int.max, expectsData: false, token: begin(.receiveBroker, of: slot)
        )
    }

    private mutating func answerReceived(_ completion: Completion, of slot: Int) {
        let inquiry = sessions[slot].inquiry
        let progress: ResponderAnswer.Progress
        switch completion.result {
        case 1...:
            guard let buffer = completion.buffer else { preconditionFailure("a receive without its buffer") }
            let bytes = unsafe UnsafeRawBufferPointer(
                start: kernel.bytes(of: buffer), count: Int(completion.result))
            progress = unsafe inquiries[inquiry].answer.take(bytes.bindMemory(to: UInt8.self).span)
        case 0:
            progress = inquiries[inquiry].answer.end()
        case -Errno.noBuffers.rawValue:
            return starve(slot, .download)
        case -Errno.wouldBlock.rawValue, -Errno.interrupted.rawValue:
            progress = .needsMore
        default:
            return tryNextAddress(slot, "recv() failed (\(Errno(rawValue: -completion.result).numberedText))")
        }
        switch progress {
        case .needsMore: askMore(slot)
        case .complete: judge(slot)
        case .failed(let fault):
            guard case .status = fault else { return tryNextAddress(slot, fault.words) }
            logAsking(.error, slot, fault.words)
            leave(slot, for: .end(.unanswered))
        }
    }

    private mutating func judge(_ slot: Int) {
        let inquiry = inquiries[sessions[slot].inquiry]
        let answer: StatusAnswer
        do throws(TLSFault) {
            answer = try inquiry.chain.check(
                inquiry.answer.body.span, about: inquiry.certificate, trust: .verified, nowSeconds: nowSeconds)
            let settings = settingsTable[sessions[slot].settings]
            if let tls = settings.tls?.settings, let cache = settings.sharing.statusCache(tls) {
                cache.put(
                    answer.status, of: try inquiry.chain.key(of: inquiry.certificate),
                    untilSeconds: answer.validUntilSeconds ?? nowSeconds + Self.endlessSeconds)
            }
        } catch {
            logAsking(.error, slot, error.message)
            return leave(slot, for: .end(.unanswered))
        }
        if answer.status == .good {
            inquiries[sessions[slot].inquiry].certificate += 1
            leave(slot, for: .certificate)
        } else {
            leave(slot, for: .end(.answered(answer.status)))
        }
    }

    // MARK: - The end of a connection, and of all

    private mutating func tryNextAddress(_ slot: Int, _ message: String) {
        logAsking(.error, slot, message)
        let inquiry = sessions[slot].inquiry
        let hasMore = inquiries[inquiry].endpoint + 1 < inquiries[inquiry].endpoints.count
        if hasMore { inquiries[inquiry].endpoint += 1 }
        leave(slot, for: hasMore ? .address : .end(.unanswered))
    }

    private mutating func leave(_ slot: Int, for next: StatusInquiry.Next) {
        inquiries[sessions[slot].inquiry].next = next
        for operation in [Operation.connect, .receiveBroker, .sendBroker]
        where sessions[slot].machine.inFlight.contains(operation.inFlight!) {
            kernel.queueCancel(target: token(operation, of: slot))
        }
        settle(slot)
    }

    private mutating func settle(_ slot: Int) {
        guard sessions[slot].machine.inFlight.isEmpty else { return }
        closeResponder(slot)
        switch inquiries[sessions[slot].inquiry].next {
        case .answer: preconditionFailure("an answer that nothing waits for")
        case .address: connectResponder(slot)
        case .certificate: askNext(slot)
        case .end(let status): endAsking(slot, status)
        }
    }

    /// The place is a broker's again. An operation in flight keeps the socket.
    mutating func closeResponder(_ slot: Int) {
        guard sessions[slot].broker >= 0 else { return }
        kernel.queueClose(descriptor: sessions[slot].broker)
        brokerSocketCount -= 1
        sessions[slot].broker = -1
    }

    /// Nothing of the inquiry is in the kernel.
    mutating func endInquiry(_ slot: Int) {
        guard sessions[slot].inquiry >= 0 else { return }
        inquiries.remove(sessions[slot].inquiry)
        sessions[slot].inquiry = -1
    }

    private mutating func endAsking(_ slot: Int, _ status: ClientStatus) {
        endInquiry(slot)
        sessions[slot].upload.own.free()
        sessions[slot].memoryOffset = 0
        sessions[slot].clientTLS?.setClientStatus(status)
        sessions[slot].machine.answered()
        decideAboutClient(slot)
    }

    mutating func askingTimedOut(_ slot: Int) {
        logAsking(.error, slot, "OCSP responder timed out (\(Errno.timedOut.numberedText))")
        close(slot, .tlsHandshakeTimeout)
    }

    private mutating func logAsking(_ level: LogLevel, _ slot: Int, _ message: String) {
        guard logs(level, of: slot) else { return }
        let inquiry = inquiries[sessions[slot].inquiry]
        var text = Array("\(message) while requesting certificate status, responder: ".utf8)
        text += inquiry.host
        if sessions[slot].broker >= 0 {
            text += ", peer: ".utf8
            inquiry.endpoints[inquiry.endpoint].write(to: &text)
        }
        logSession(level, slot, bytes: text, withContext: true)
    }
}
