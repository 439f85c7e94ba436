// SPDX-License-Identifier: Apache-2.0
//
// The servers of a group as text again: the `server` directives that a configuration with a changed group is built
// from, and what a state file holds. Reading is the parser's; this writes what it reads as the same group.

import Vocabulary

/// The `server` directives of one group, in order.
package struct ServerListing: Sendable, Equatable {
    /// One directive. Times and numbers are text, so that a change may put in what somebody sent; the parser judges it.
    package struct Line: Sendable, Equatable {
        package var server: String
        package var weight = "1"
        package var maxConnections = "0"
        package var maxFails = "1"
        package var failTimeout = "10s"
        package var slowStart = "0"
        package var isBackup = false
        package var isDown = false
        package var isDraining = false

        package init(server: String) { self.server = server }
    }

    package var lines: [Line] = []
    /// For each peer of the group the line that it comes from.
    package private(set) var lineOfPeer: [Int] = []

    /// A name gives a peer for each of its addresses, one after the other and none twice, so an address that comes
    /// again is the next line's, even where two lines say the same.
    package init(_ upstream: Upstream) {
        var seen: Set<Endpoint> = []
        var former: Peer? = nil
        for peer in upstream.peers {
            if former?.serverText != peer.serverText || !seen.insert(peer.endpoint).inserted {
                lines.append(Line(peer))
                seen = [peer.endpoint]
            }
            former = peer
            lineOfPeer.append(lines.count - 1)
        }
    }

    /// The directives, a line each.
    package var text: String { lines.map { $0.text + "\n" }.joined() }
}

extension ServerListing.Line {
    fileprivate init(_ peer: Peer) {
        self.init(server: peer.serverText)
        weight = String(peer.weight)
        maxConnections = String(peer.maxConnections)
        maxFails = String(peer.maxFails)
        failTimeout = "\(peer.failTimeoutSeconds)s"
        slowStart = peer.slowStartMilliseconds == 0 ? "0" : "\(peer.slowStartMilliseconds)ms"
        isBackup = peer.isBackup
        isDown = peer.isDown
        isDraining = peer.isDraining
    }

    /// What is as it is without saying so is not said.
    package var text: String { "server " + words.map(\.text).joined(separator: " ") + ";" }

    /// The host name in it that has to be resolved; nil: an address, a path, or what the parser will refuse.
    package var hostName: String? {
        guard let address = try? AddressText.parse(Array(server.utf8), isListen: false), address.ports != nil,
            case .name(let host) = address.host
        else { return nil }
        return host
    }

    /// The word in which a diagnostic's column lies; columns count bytes from 1.
    package func word(atColumn column: Int) -> String? {
        var start = "server ".utf8.count + 1
        for word in words {
            let end = start + word.text.utf8.count
            if column >= start, column < end { return word.plain }
            start = end + 1
        }
        return nil
    }

    private var words: [(plain: String, text: String)] {
        var words = [server]
        let plain = ServerListing.Line(server: "")
        func say(_ name: String, _ value: String, _ usual: String) {
            if value != usual { words.append("\(name)=\(value)") }
        }
        say("weight", weight, plain.weight)
        say("max_conns", maxConnections, plain.maxConnections)
        say("max_fails", maxFails, plain.maxFails)
        say("fail_timeout", failTimeout, plain.failTimeout)
        say("slow_start", slowStart, plain.slowStart)
        if isBackup { words.append("backup") }
        if isDown { words.append("down") }
        if isDraining { words.append("drain") }
        return words.map { ($0, ServerListing.quoted($0)) }
    }
}

extension ServerListing {
    /// A word that the tokenizer reads as this text: in quotes where anything in it means something to it.
    static func quoted(_ word: String) -> String {
        let isPlain = word.utf8.allSatisfy { byte in
            byte > 0x20 && byte != 0x7F && !"\"'\\;{}#$".utf8.contains(byte)
        }
        if isPlain, !word.isEmpty { return word }
        var text = "\""
        for scalar in word.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\t": text += "\\t"
            case "\r": text += "\\r"
            case "\n": text += "\\n"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }
}
