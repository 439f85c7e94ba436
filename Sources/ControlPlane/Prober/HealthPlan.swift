// SPDX-License-Identifier: Apache-2.0
//
// What a configuration wants checked: every peer of every group, with its checks. Pure; two plans compare check by
// check, so that a reload lets what has not changed go on.

import Health
import Patterns
import ProxyConfig
import Vocabulary

/// A peer's name in the shared region. Two groups of one name (`proxy_pass` of the same address twice) are one group.
package struct PeerKey: Hashable, Sendable {
    package let group: String
    package let identity: String

    package init(group: String, identity: String) {
        self.group = group
        self.identity = identity
    }
}

/// All that makes a check what it is. Equal definitions at one peer are one check; one that a reload leaves equal goes
/// on with what it knows.
package struct CheckDefinition: Sendable, Equatable {
    package let settings: CheckSettings
    /// Where to connect: the peer's address, with `port=` instead of its own port.
    package let target: Endpoint
    package let match: HealthMatch?
    /// Nil: plaintext.
    package let tls: Shared<TLSClientSettings>?
    package let connectTimeoutMilliseconds: UInt64
    package let timeoutMilliseconds: UInt64
    package let answerBytesMax: Int

    init(_ check: HealthCheck, of endpoint: Endpoint, match: HealthMatch?) {
        settings = CheckSettings(
            intervalMilliseconds: check.intervalMilliseconds, jitterMilliseconds: check.jitterMilliseconds,
            fails: check.fails, passes: check.passes, isMandatory: check.isMandatory,
            isPersistent: check.isPersistent)
        target = CheckDefinition.target(endpoint, port: check.port)
        self.match = match
        tls = check.tls
        connectTimeoutMilliseconds = UInt64(max(check.connectTimeoutMilliseconds, 1))
        timeoutMilliseconds = UInt64(max(check.timeoutMilliseconds, 1))
        answerBytesMax = check.answerBytesMax
    }

    private static func target(_ endpoint: Endpoint, port: UInt16?) -> Endpoint {
        guard let port, case .ip(let own) = endpoint else { return endpoint }
        return .ip(IPEndpoint(address: own.address, port: port))
    }

    func asksTheSame(as other: CheckDefinition) -> Bool {
        target == other.target && match == other.match && tls == other.tls
    }

    /// What stands between quotes in log lines.
    package var name: String { match?.name ?? "" }
}

package struct PlannedCheck: Sendable {
    package let definition: CheckDefinition
    /// `match`'s `expect`, ready to be used.
    package let expectation: AnswerMatcher.Expectation?
    package var errorLogs: [ErrorLog]
}

package struct PlannedPeer: Sendable {
    package let key: PeerKey
    /// The address, for log lines.
    package let name: String
    package var checks: [PlannedCheck]

    package var isMandatory: Bool { checks.contains { $0.definition.settings.isMandatory } }
}

package struct HealthPlan: Sendable {
    /// Every peer once, those without checks as well.
    package private(set) var peers: [PlannedPeer] = []

    package init() {}

    /// The configuration has compiled its expressions before, so that a fault here says that memory ran out. `pause` is
    /// called between groups, for a caller that rests.
    package init(_ configuration: Configuration, pause: () -> Void = {}) throws(PatternFault) {
        let expectations = try HealthPlan.expectations(of: configuration.matches)
        var checksByUpstream: [[HealthCheck]] = Array(repeating: [], count: configuration.upstreams.count)
        for server in configuration.servers {
            for check in server.healthChecks { checksByUpstream[check.upstream].append(check) }
        }
        var places: [PeerKey: Int] = [:]
        for (upstream, checks) in zip(configuration.upstreams, checksByUpstream) {
            pause()
            for (peer, identity) in zip(upstream.peers, upstream.peerIdentities()) {
                let key = PeerKey(group: upstream.name, identity: identity)
                let place = places[key] ?? peers.count
                if place == peers.count {
                    places[key] = place
                    peers.append(PlannedPeer(key: key, name: peer.endpoint.text, checks: []))
                }
                for check in checks {
                    let match = check.match.map { configuration.matches[$0] }
                    add(
                        PlannedCheck(
                            definition: CheckDefinition(check, of: peer.endpoint, match: match),
                            expectation: check.match.flatMap { expectations[$0] }, errorLogs: check.errorLogs),
                        at: place)
                }
            }
        }
    }

    /// Several server blocks that ask the same of a group ask a peer once, and each of them hears of it in its log.
    private mutating func add(_ check: PlannedCheck, at place: Int) {
        guard let twin = peers[place].checks.firstIndex(where: { $0.definition == check.definition }) else {
            peers[place].checks.append(check)
            return
        }
        for log in check.errorLogs where !peers[place].checks[twin].errorLogs.contains(log) {
            peers[place].checks[twin].errorLogs.append(log)
        }
    }

    private static func expectations(of matches: [HealthMatch]) throws(PatternFault) -> [AnswerMatcher.Expectation?] {
        var expectations: [AnswerMatcher.Expectation?] = []
        for match in matches {
            switch match.expect {
            case .literal(let bytes): expectations.append(.literal(bytes))
            case .pattern(let text, let ignoresCase):
                expectations.append(.pattern(try Pattern(text, ignoresCase: ignoresCase)))
            case nil: expectations.append(nil)
            }
        }
        return expectations
    }
}
