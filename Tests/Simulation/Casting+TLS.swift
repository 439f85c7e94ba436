// SPDX-License-Identifier: Apache-2.0
//
// Which clients and brokers speak TLS, with what certificates, and how well they behave.

import Vocabulary

/// OpenSSL's contexts of the actors, one for each kind: a client that resumes finds what its like have left.
final class TLSCasting {
    struct Credential {
        /// A file of `Credentials`; nil for none.
        var name: String?
        var version: Int32
        /// The server that a client asks for.
        var asked: String? = nil
    }

    private let world: World
    private var contexts: [String: TLSPeerContext] = [:]

    init(world: World) { self.world = world }

    func client(at door: Door, _ socket: SimulatedSocket) -> (TLSChannel, Credential)? {
        guard door.speaksTLS ? world.chance(96) : door == .plain && world.chance(10) else { return nil }
        var credential = Credential(name: nil, version: world.chance(30) ? 12 : 13)
        let isAsked = door == .mutual || door == .optional || door == .sorting
        switch world.draw(0...99) {
        case ..<(isAsked ? 70 : 10): credential.name = "device"
        case 70..<85 where isAsked: credential.name = "stranger"
        default: break
        }
        switch world.draw(0...9) {
        case 0...5: credential.asked = Credentials.names[world.draw(0...2)]
        case 6: credential.asked = "nobody.test"
        default: break
        }
        return (channel(credential, isServer: false, socket), credential)
    }

    func broker(_ socket: SimulatedSocket) -> (TLSChannel, Credential) {
        let name = world.chance(12) ? "impostor" : "broker"
        let credential = Credential(name: name, version: world.chance(20) ? 12 : 13)
        return (channel(credential, isServer: true, socket), credential)
    }

    /// An OCSP responder, good and bad: slow, cut, silent, not of this protocol, or gone.
    func responder(_ number: Int, _ socket: SimulatedSocket, _ knowledge: ResponderKnowledge) -> Actor {
        let body = Credentials.shared.statusAnswers[knowledge.rawValue]
        let hasLength = world.chance(60)
        var answer = Array("HTTP/1.0 200 OK\r\n".utf8)
        if world.chance(10) { answer = Array("HTTP/1.1 503 Busy\r\n".utf8) }
        if hasLength { answer += Array("Content-Length: \(body.count)\r\n".utf8) }
        answer += Array("Content-Type: application/ocsp-response\r\n\r\n".utf8) + body
        switch world.draw(0...19) {
        case 0: answer = world.noise(world.draw(1...3000))
        case 1: answer = Array(answer.prefix(world.draw(1...answer.count)))
        case 2: answer[answer.count - world.draw(1...body.count)] ^= 1
        case 3: answer = []
        default: break
        }
        var script: [Utterance] = []
        var rest = answer[...]
        while !rest.isEmpty {
            let part = rest.prefix(world.chance(60) ? rest.count : world.draw(1...rest.count))
            script.append(Utterance(bytes: Array(part), pause: world.pause(0...(world.chance(10) ? 5000 : 50))))
            rest = rest.dropFirst(part.count)
        }
        let endings: [Actor.Ending] = [.resets, .vanishes, .waits]
        let ending = world.chance(20) ? endings[world.draw(0...2)] : hasLength ? .finishes : .closes
        return Actor(
            name: "responder \(number)", socket: socket, world: world, script: script, reading: .fast, ending: ending,
            answers: world.chance(90))
    }

    private func channel(_ credential: Credential, isServer: Bool, _ socket: SimulatedSocket) -> TLSChannel {
        let key = "\(isServer) \(credential.version) \(credential.name ?? "") \(credential.asked ?? "")"
        let context =
            contexts[key]
            ?? Credentials.shared.context(isServer: isServer, version: credential.version, credential.name)
        contexts[key] = context
        return TLSChannel(
            context: context, name: credential.asked, resumes: world.chance(70),
            manners: manners(mayChangeKeys: credential.version == 13), socket: socket, world: world)
    }

    private func manners(mayChangeKeys: Bool) -> TLSChannel.Manners {
        var manners = TLSChannel.Manners()
        switch world.draw(0...99) {
        case ..<14: manners.goodbye = .nothing
        case ..<22: manners.goodbye = .bytesBehind
        case ..<28: manners.goodbye = .staysOpen
        case ..<32: manners.goodbye = .nonsense
        default: break
        }
        if world.chance(15) {
            manners.bytesMax = world.chance(50) ? world.draw(1...1500) : world.draw(1...30_000)
            manners.breaking = [.resets, .closes, .vanishes][world.draw(0...2)]
        }
        manners.changesKeys = mayChangeKeys && world.chance(20)
        if world.chance(30) { manners.recordBytesMax = world.draw(50...4000) }
        manners.chanceOfCut = world.draw(0...30)
        return manners
    }
}
