// SPDX-License-Identifier: Apache-2.0
//
// What must hold of sessions with TLS when they have ended: no byte more than was meant for anyone, a reason that fits
// what the peers did, and nobody spoken to who was not to be trusted.

import Vocabulary

/// What runs have come by, for the reader of their output.
struct TLSTally: CustomStringConvertible {
    private var reasons: [Substring: Int] = [:]
    private var resumed = 0

    mutating func count(_ line: Substring) {
        let fields = line.split(separator: " ", omittingEmptySubsequences: false)
        reasons[fields[2], default: 0] += 1
        if fields.last == "r" { resumed += 1 }
    }

    var description: String {
        let counts = reasons.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        return "\(resumed) resumed, " + counts.joined(separator: " ")
    }
}

extension Simulation {
    /// The brokers whom a client's session has met, the last one last.
    private func met(_ number: Int) -> [Actor] {
        guard let end = workerEnds[number] else { return [] }
        return (pairs[ObjectIdentifier(end)] ?? []).compactMap { brokers[ObjectIdentifier($0)] }
    }

    /// TLS ended in the worker on one side or both, or may have: what is counted is not what went over the sockets.
    func isSealed(_ number: Int) -> Bool {
        guard flavour == .tls, let client = clients[number], let door = door(number) else { return false }
        return door.isEnd || door == .plain || client.channel != nil || met(number).contains { $0.channel != nil }
    }

    /// A broker without TLS that `proxy_ssl` has spoken to, in vain: what it got is a ClientHello.
    func hasHeardHello(_ broker: Actor) -> Bool {
        guard flavour == .tls, broker.channel == nil else { return false }
        return broker.received.starts(with: [0x16, 3, 1].prefix(broker.received.count))
    }

    private func door(_ number: Int) -> Door? { workerEnds[number]?.local.flatMap { Door(rawValue: $0.port) } }

    /// TLS of this client ended in the worker.
    private func isClientEnd(_ number: Int) -> Bool { clients[number]?.channel != nil && door(number)?.isEnd == true }

    func checkPlainCounts(_ number: Int, _ received: Int, _ sent: Int, _ line: Substring) {
        guard let client = clients[number], let end = workerEnds[number] else { return }
        if isClientEnd(number) {
            if received > client.sent.count { world.fault("\(received) received of \(client.sent.count): \(line)") }
        } else if received > end.heardReceived {
            world.fault("\(received) received, the socket \(end.heardReceived): \(line)")
        }
        if sent > end.heardSent { world.fault("\(sent) sent, the socket \(end.heardSent): \(line)") }
        guard let broker = met(number).last else { return }
        let isOneWay = broker.received.isEmpty || client.channel == nil || isClientEnd(number)
        if isOneWay, !hasHeardHello(broker), received < broker.received.count {
            world.fault("\(received) received, \(broker.name) got \(broker.received.count): \(line)")
        }
    }

    func checkTLSEnd(_ number: Int, _ reason: String, _ line: Substring) {
        guard let client = clients[number], let door = door(number) else { return }
        checkTrust(number, client, door, reason, line)
        checkCuts(number, client, reason, line)
        guard isClientEnd(number), let channel = client.channel else { return }
        let credential = credentials[ObjectIdentifier(client)]
        switch reason {
        case "client_closed" where !channel.hasBegunToClose:
            world.fault("\(client.name) never said close_notify: \(line)")
        case "client_truncated" where channel.hasClosed:
            world.fault("\(client.name) said close_notify: \(line)")
        case "tls_client_refused" where credential?.name == "device" && tlsText.clientStatus == nil:
            world.fault("\(client.name) was refused with a good certificate: \(line)")
        // One that does not read keeps a handshake open with its tickets, where they find no room.
        case "tls_handshake_timeout" where client.isListening && tlsText.clientStatus == nil:
            world.fault("\(client.name) was slow in the eyes of the worker: \(line)")
        case "tls_broken" where isPolite(client) && met(number).allSatisfy(isPolite):
            world.fault("\(client.name) and its broker spoke TLS: \(line)")
        default: break
        }
        checkNames(client, channel, credential, line)
        checkGoodbyes(number, client, reason, line)
    }

    /// Speaks nothing but TLS.
    private func isPolite(_ actor: Actor) -> Bool {
        guard let channel = actor.channel else { return false }
        if case .nonsense = channel.manners.goodbye { return false }
        return true
    }

    private func checkNames(
        _ client: Actor, _ channel: TLSChannel, _ credential: TLSCasting.Credential?, _ line: Substring
    ) {
        let met = channel.otherName
        guard channel.isOpen, met != "default.test", met != credential?.asked else { return }
        world.fault("\(client.name) asked for \(credential?.asked ?? "nobody"), met \(met): \(line)")
    }

    private func checkTrust(
        _ number: Int, _ client: Actor, _ door: Door, _ reason: String, _ line: Substring
    ) {
        let credential = credentials[ObjectIdentifier(client)]?.name
        if door == .mutual && credential != "device" && !met(number).isEmpty {
            world.fault("\(client.name) came in with \(credential ?? "no certificate"): \(line)")
        }
        if door == .optional && credential == "stranger" && !met(number).isEmpty {
            world.fault("\(client.name) came in with a certificate of another authority: \(line)")
        }
        let isKnownBad = tlsText.clientStatus.map { $0 != .good } ?? false
        if isKnownBad, door.isEnd, credential == "device", asksForCertificate(door), !met(number).isEmpty {
            world.fault("\(client.name) came in with a certificate that is not good: \(line)")
        }
        guard tlsText.verifiesBrokers, client.channel == nil || door.isEnd else { return }
        for broker in met(number) where credentials[ObjectIdentifier(broker)]?.name == "impostor" {
            if broker.channel?.isOpen == true, !broker.received.isEmpty, !isRaw(broker, client) {
                world.fault("\(broker.name) is an impostor and got \(broker.received.count) bytes: \(line)")
            }
        }
    }

    private func asksForCertificate(_ door: Door) -> Bool { door == .mutual || door == .optional }

    /// The broker's TLS is the client's.
    private func isRaw(_ broker: Actor, _ client: Actor) -> Bool {
        client.channel != nil && client.channel?.otherName == Credentials.brokerName
    }

    /// What one side was cut in is not sold to the other as an end.
    private func checkCuts(_ number: Int, _ client: Actor, _ reason: String, _ line: Substring) {
        guard let broker = met(number).last, door(number) == .sealing || isClientEnd(number) else { return }
        let isClientCut = (reason == "client_truncated" || reason == "client_reset") && !client.hasEnded
        if isClientCut, broker.channel != nil, broker.farewell == .orderly {
            world.fault("\(broker.name) saw an end where \(client.name) was cut: \(line)")
        }
        // One whose TLS nobody answered was spoken to in plaintext, and ends as plaintext does.
        let isBrokerCut =
            (reason == "broker_truncated" || reason == "broker_reset") && !broker.hasEnded
            && broker.channel?.isOpen ?? true
        if isBrokerCut, client.channel != nil, client.farewell == .orderly {
            world.fault("\(client.name) saw an end where \(broker.name) was cut: \(line)")
        }
    }

    /// What one side ended in order is told to the other in order.
    private func checkGoodbyes(_ number: Int, _ client: Actor, _ reason: String, _ line: Substring) {
        guard let broker = met(number).last else { return }
        if reason == "client_closed", broker.isListening, broker.farewell == .cut {
            world.fault("\(broker.name) saw a cut where \(client.name) ended in order: \(line)")
        }
        if reason == "broker_closed", client.isListening, client.farewell == .cut {
            world.fault("\(client.name) saw a cut where \(broker.name) ended in order: \(line)")
        }
    }
}
