// SPDX-License-Identifier: Apache-2.0
//
// A change of an upstream's servers, made in their text. Pure: the configuration and the change go in, the group's new
// directives come out; whether they hold is for the parser to say.

import ControlLink
import ProxyConfig
import Vocabulary

struct MembershipEdit {
    /// Index into `Configuration.upstreams`.
    let upstream: Int
    let listing: ServerListing
    /// The line that was changed or added; nil: it is gone.
    let line: Int?
    /// The peers that the change is about, as they were before: none when one is added.
    let peers: [Int]
    /// For the log, without who asked: `server "b1:1883" of upstream "b": down`.
    let text: String

    /// `peer` finds the index of the peer that an id means.
    init(
        _ change: MembershipChange, in configuration: Configuration, peer: (_ upstream: Int, _ id: Int) -> Int?
    ) throws(AdminRefusal) {
        guard
            let index = configuration.upstreams.firstIndex(where: { $0.isExplicit && $0.name == change.upstream })
        else { throw AdminRefusal(.upstreamNotFound, "there is no upstream \"\(change.upstream)\"") }
        let upstream = configuration.upstreams[index]
        guard upstream.zone != nil else {
            throw AdminRefusal(
                .upstreamStatic, "upstream \"\(change.upstream)\" has no zone; write zone \(change.upstream); in it")
        }
        var listing = ServerListing(upstream)
        func line(of id: Int) throws(AdminRefusal) -> Int {
            guard let peer = peer(index, id) else {
                throw AdminRefusal(.serverNotFound, "upstream \"\(change.upstream)\" has no server with id \(id)")
            }
            return listing.lineOfPeer[peer]
        }
        func peers(of line: Int) -> [Int] { listing.lineOfPeer.indices.filter { listing.lineOfPeer[$0] == line } }

        self.upstream = index
        switch change.operation {
        case .add(let server):
            var added = ServerListing.Line(server: server)
            added.take(change.parameters)
            listing.lines.append(added)
            self.line = listing.lines.count - 1
            self.peers = []
            text = "\(added.text.dropLast()) added to upstream \"\(change.upstream)\""
        case .set(let id):
            if let wanted = change.parameters.isBackup, wanted != listing.lines[try line(of: id)].isBackup {
                throw AdminRefusal(.serverImmutable, "\"backup\" of a server cannot be changed; remove it and add it")
            }
            let place = try line(of: id)
            let former = listing.lines[place]
            self.peers = peers(of: place)
            listing.lines[place].take(change.parameters)
            self.line = place
            let latter = listing.lines[place].text.dropLast()
            text = "\(former.text.dropLast()) of upstream \"\(change.upstream)\" is now \(latter)"
        case .remove(let id):
            let place = try line(of: id)
            self.peers = peers(of: place)
            text = "\(listing.lines[place].text.dropLast()) removed from upstream \"\(change.upstream)\""
            listing.lines.remove(at: place)
            self.line = nil
        }
        self.listing = listing
    }

    /// What nginx calls a fault that the parser found in the changed line.
    func refusal(for diagnostic: Diagnostic, in file: String) -> AdminRefusal {
        var code = AdminRefusal.Code.format
        if let line, diagnostic.file == file, diagnostic.line == line + 1,
            let word = listing.lines[line].word(atColumn: diagnostic.column)
        {
            if word == listing.lines[line].server { code = .badAddress }
            if word.hasPrefix("weight=") { code = .badWeight }
        }
        return AdminRefusal(code, diagnostic.message + (diagnostic.hint.isEmpty ? "" : "; \(diagnostic.hint)"))
    }
}

extension ServerListing.Line {
    fileprivate mutating func take(_ parameters: ServerParameters) {
        if let value = parameters.server { server = value }
        if let value = parameters.weight { weight = String(value) }
        if let value = parameters.maxConnections { maxConnections = String(value) }
        if let value = parameters.maxFails { maxFails = String(value) }
        if let value = parameters.failTimeout { failTimeout = value }
        if let value = parameters.slowStart { slowStart = value }
        if let value = parameters.isBackup { isBackup = value }
        if let value = parameters.isDown { isDown = value }
        if let value = parameters.isDraining { isDraining = value }
    }
}
