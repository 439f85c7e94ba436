// SPDX-License-Identifier: Apache-2.0
//
// What `weirctl top` shows of two snapshots: states, sessions, and what went by between them in a second.

/// Figures of one moment.
struct TopSnapshot: Codable, Equatable {
    var upstreams: [String: UpstreamFigures]
    var connections: ConnectionFigures
}

struct TopPicture {
    let snapshot: TopSnapshot
    /// The one before, and how long ago it was; nil: there are no rates yet.
    var former: (snapshot: TopSnapshot, seconds: Double)? = nil

    func lines() -> [StyledLine] {
        let figures = snapshot.connections
        var head = StyledLine("Weir", .bold)
        head.append("   \(Figure.count(figures.active)) sessions   ")
        head.append("\(rate(figures.accepted, former?.snapshot.connections.accepted)) accepted/s   ")
        head.append("\(Figure.count(figures.dropped)) dropped", figures.dropped > 0 ? .yellow : .plain)
        var lines = [head, ""]
        var table = TextTable(
            ["UPSTREAM", "SERVER", "STATE", "WEIGHT", "SESSIONS", "NEW/s", "TO/s", "FROM/s", "FAILS"],
            right: [3, 4, 5, 6, 7, 8])
        var states: [String] = []
        for (name, upstream) in snapshot.upstreams.sorted(by: { $0.key < $1.key }) {
            for peer in upstream.peers {
                let before = former?.snapshot.upstreams[name]?.peers.first { $0.id == peer.id }
                states.append(peer.state)
                table.rows.append([
                    name, peer.name == peer.server ? peer.server : "\(peer.name) \(peer.server)",
                    peer.state + (peer.backup ? ", backup" : ""), "\(peer.weight)", Figure.count(peer.active),
                    rate(peer.connections, before?.connections), rate(peer.sent, before?.sent, isBytes: true),
                    rate(peer.received, before?.received, isBytes: true), Figure.count(peer.fails),
                ])
            }
        }
        for (index, text) in table.lines().enumerated() {
            lines.append(StyledLine(text, index == 0 ? .heading : Self.style(of: states[index - 1])))
        }
        return lines
    }

    /// A word says it, too: the colour is for the eye that looks for what is wrong.
    private static func style(of state: String) -> StyledLine.Style {
        switch state {
        case "up": .green
        case "unhealthy", "unavail": .red
        case "draining", "checking": .yellow
        default: .dim
        }
    }

    /// `-` where nothing is known yet, or the counter was reset meanwhile.
    private func rate(_ now: UInt64, _ before: UInt64?, isBytes: Bool = false) -> String {
        guard let before, let former, former.seconds > 0, now >= before else { return "-" }
        let value = UInt64((Double(now - before) / former.seconds).rounded())
        return isBytes ? Figure.bytes(value) : Figure.count(value)
    }
}
