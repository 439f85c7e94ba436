// SPDX-License-Identifier: Apache-2.0
//
// Linking of upstream groups: names become peers, and a `proxy_pass` finds its group or makes one.

import Vocabulary

extension Assembler {
    private static let sliceLines = 64

    mutating func linkUpstream(_ source: inout some ConfigurationSource) {
        let draft = upstreamDrafts[cursor.draft]
        if cursor.part == 0 {
            var upstream = Upstream(name: draft.name.text)
            upstream.zone = draft.zone
            upstream.stateFile = draft.state.map { options.pathBelowPrefix($0.word.text) }
            switch draft.method {
            case .roundRobin: upstream.method = .roundRobin
            case .hash(let key, let isConsistent):
                upstream.method = .hash(key: template(key), isConsistent: isConsistent)
            case .leastConnections: upstream.method = .leastConnections
            case .random(let isTwo): upstream.method = .random(isTwo: isTwo)
            }
            configuration.upstreams.append(upstream)
            if !draft.hasFault, !draft.servers.isEmpty, draft.servers.allSatisfy({ $0.backup != nil }) {
                error(
                    "no servers in upstream \"\(shown(draft.name.bytes))\"", at: draft.name,
                    hint: "all of its servers are backups; take backup from at least one")
            }
        }
        let end = min(cursor.part + Assembler.sliceLines, draft.servers.count)
        for line in draft.servers[cursor.part..<end] { linkServerLine(line, of: draft, &source) }
        cursor.part = end
        if end == draft.servers.count {
            upstreamDrafts[cursor.draft].servers = []
            nextDraft()
        }
    }

    private mutating func linkServerLine(
        _ line: UpstreamDraft.ServerLine, of draft: UpstreamDraft, _ source: inout some ConfigurationSource
    ) {
        if let backup = line.backup, !draft.method.takesBackups {
            error(
                "balancing method does not support parameter \"backup\"", at: backup,
                hint: "hash and random choose among all servers; take backup or the method out")
        }
        if let slowStart = line.slowStart, !draft.method.takesBackups {
            error(
                "balancing method does not support parameter \"slow_start\"", at: slowStart.word,
                hint: "hash and random do not spare a server that came back; take slow_start or the method out")
        }
        for var peer in peers(of: line.parsed, line.address, &source) {
            peer.weight = line.weight
            peer.maxConnections = line.maxConnections
            peer.maxFails = line.maxFails
            peer.failTimeoutSeconds = line.failTimeoutSeconds
            peer.isBackup = line.backup != nil
            peer.isDown = line.isDown
            peer.isDraining = line.isDraining
            peer.slowStartMilliseconds = line.slowStart?.milliseconds ?? 0
            configuration.upstreams[cursor.draft].peers.append(peer)
        }
    }

    /// One peer for each address. Ring points come from the address as configured; from each address of a name.
    private mutating func peers(
        of parsed: AddressText, _ word: Word, _ source: inout some ConfigurationSource
    ) -> [Peer] {
        let port = parsed.ports?.lowerBound ?? 0
        switch parsed.host {
        case .any: return []
        case .unix(let path):
            return [Peer(serverText: word.text, endpoint: .unix(path), ringHost: path, ringPort: "")]
        case .address(let address):
            return [
                Peer(
                    serverText: word.text, endpoint: .ip(IPEndpoint(address: address, port: port)),
                    ringHost: parsed.hostText, ringPort: parsed.portText)
            ]
        case .name(let host):
            switch addresses(of: host, &source) {
            case .success(let addresses):
                return addresses.map { address in
                    let text = address.family == .ipv6 ? "[\(address.text)]" : address.text
                    return Peer(
                        serverText: word.text, endpoint: .ip(IPEndpoint(address: address, port: port)),
                        ringHost: text, ringPort: parsed.portText)
                }
            case .failure(let fault):
                error(
                    "host not found in upstream \"\(shown(word.bytes))\"", at: word,
                    hint: Assembler.hostHint(host, fault))
                return []
            }
        }
    }

    // MARK: - proxy_pass

    mutating func linkProxyPass(_ word: Word, _ source: inout some ConfigurationSource) -> Server.Content? {
        if word.bytes.contains(UInt8(ascii: "$")) {
            return .proxyByName(template(word))
        }
        let parsed: AddressText
        do throws(AddressText.Fault) {
            parsed = try AddressText.parse(word.bytes, isListen: false)
        } catch {
            self.error("\(error.reason) in upstream \"\(shown(word.bytes))\"", at: word, hint: error.remedy)
            return nil
        }
        if case .unix = parsed.host { return implicitGroup(parsed, word, &source) }
        if let index = upstreamByName[Array(parsed.hostText.utf8).lowercasedASCII] {
            if let port = parsed.ports?.lowerBound {
                error(
                    "upstream \"\(shown(Array(parsed.hostText.utf8)))\" may not have port \(port)", at: word,
                    hint: "its servers have the ports: proxy_pass \(parsed.hostText);")
                return nil
            }
            return .proxy(upstream: index)
        }
        guard parsed.ports != nil else {
            error(
                "no port in upstream \"\(shown(word.bytes))\"", at: word, hint: unknownGroupHint(parsed))
            return nil
        }
        return implicitGroup(parsed, word, &source)
    }

    private func unknownGroupHint(_ parsed: AddressText) -> String {
        if case .name(let name) = parsed.host {
            if let near = meant(Array(name.utf8), among: upstreamDrafts.map(\.name.text)) {
                return "did you mean \"\(near)\"?"
            }
            let text = shown(Array(name.utf8))
            return "no upstream has this name; write upstream \(text) { … }, or the port: \(text):1883"
        }
        return "write the port, too: \(parsed.hostText):1883"
    }

    /// The group behind an address: one for each distinct text.
    private mutating func implicitGroup(
        _ parsed: AddressText, _ word: Word, _ source: inout some ConfigurationSource
    ) -> Server.Content {
        if let known = implicitUpstreams[word.bytes] { return .proxy(upstream: known) }
        var upstream = Upstream(name: word.text)
        upstream.isExplicit = false
        upstream.peers = peers(of: parsed, word, &source)
        let index = configuration.upstreams.count
        implicitUpstreams[word.bytes] = index
        configuration.upstreams.append(upstream)
        return .proxy(upstream: index)
    }
}
