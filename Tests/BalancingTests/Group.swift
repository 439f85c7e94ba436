// SPDX-License-Identifier: Apache-2.0
//
// A group as the tests use it: peers, the clock, chance, and clients that choose. A class, since `#expect` takes no
// call that changes a value.

import Balancing
import Testing

final class Group {
    var peers: [PeerState]
    var method: BalancingMethod
    var now: Int64 = 1_000
    var random = RandomDraws(seed: 1)

    init(weights: [Int32], method: BalancingMethod = .roundRobin) {
        peers = weights.map { PeerState(weight: $0) }
        self.method = method
    }

    /// The next choice of a client that has chosen before.
    func next(_ key: String = "", _ tries: inout ClientTries) -> Int? {
        let bytes = Array(key.utf8)
        let alone = choiceAlone(bytes, tries)
        let index = Balancer.choose(method, key: bytes.span, peers: &peers, tries: &tries, now: now, random: &random)
        if let alone {
            #expect(alone.index == index, "a look at one peer chooses as a look at all of them does")
            #expect(alone.peer == peers[alone.index], "and leaves the same behind")
            #expect(alone.tries == String(describing: tries))
        }
        return index
    }

    /// What a choice that sees its preferred peer alone comes to; nil where the others have to be seen.
    private func choiceAlone(_ key: [UInt8], _ tries: ClientTries) -> (index: Int, peer: PeerState, tries: String)? {
        var tries = tries
        guard let index = Balancer.preferred(method, key: key.span, tries: tries) else { return nil }
        var peer = peers[index]
        guard Balancer.take(index, peer: &peer, tries: &tries, now: now) else { return nil }
        return (index, peer, String(describing: tries))
    }

    /// The first choice of a new client.
    func first(_ key: String = "") -> Int? {
        var tries = ClientTries()
        return next(key, &tries)
    }

    /// The first choices of `count` new clients, as letters: `a` for peer 0, `-` for nobody.
    func letters(_ count: Int) -> String {
        String((0..<count).map { _ in first().map { Character(UnicodeScalar(UInt8(97 + $0))) } ?? "-" })
    }

    /// All choices of one client, until there is nobody left.
    func row(_ key: String = "") -> [Int] {
        var tries = ClientTries()
        var row: [Int] = []
        while row.count <= peers.count, let index = next(key, &tries) { row.append(index) }
        return row
    }

    func fail(_ index: Int) -> Bool {
        peers[index].noteFailure(now: now, isOnlyPeer: peers.count == 1)
    }

    func succeed(_ index: Int) -> Bool {
        peers[index].noteSuccess()
    }
}

extension HashRing {
    /// Servers at 127.0.0.1, one port behind the other from 18831, as in the recorded vectors.
    static func local(weights: [Int], isBackup: Set<Int> = []) -> HashRing {
        HashRing(
            members: weights.enumerated().map {
                Member(
                    host: "127.0.0.1", port: String(18831 + $0.offset), weight: $0.element,
                    isBackup: isBackup.contains($0.offset))
            })!
    }
}
