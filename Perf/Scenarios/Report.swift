// SPDX-License-Identifier: Apache-2.0
//
// The figures as people read them (a table with medians, spreads and ratios) and as programs do (a line for each).

struct Report {
    let scenario: any Scenario
    let settings: Settings
    let peers: [Peer]
    let samples: [Sample]

    /// Ratios are taken inside a round and only then is their median: what slowed a round slowed both.
    private func ratios(_ measure: Int, of peer: Peer) -> [Double] {
        (1...settings.rounds).compactMap { round in
            guard let own = figure(measure, peer, round), let base = figure(measure, .nginx, round), base > 0 else {
                return nil
            }
            return own / base
        }
    }

    private func figure(_ measure: Int, _ peer: Peer, _ round: Int) -> Double? {
        samples.first { $0.peer == peer && $0.round == round }?.figures[measure]
    }

    private func figures(_ measure: Int, _ peer: Peer) -> [Double] {
        samples.filter { $0.peer == peer }.map { $0.figures[measure] }
    }

    var text: String {
        let present = peers.filter { scenario.peers.contains($0) }
        let compared = present.contains(.nginx) ? present.filter { $0 != .nginx && $0 != .direct } : []
        var rows: [[String]] = [[""] + present.map(\.rawValue) + compared.map { "\($0.rawValue) / nginx" }]
        if present.contains(.weir) { rows[0].append("bar") }
        for (index, measure) in scenario.measures.enumerated() {
            var row = [measure.name]
            row += present.map { Self.spread(figures(index, $0), decimals: measure.decimals) }
            row += compared.map { measure.isCompared ? Self.spread(ratios(index, of: $0), decimals: 2) : "" }
            if present.contains(.weir) { row.append(verdict(index, measure)) }
            rows.append(row)
        }
        var lines = ["## \(scenario.name)", "", scenario.summary(settings) + ".", ""]
        lines += Self.table(rows)
        let faults = samples.filter { !$0.faults.isEmpty }
        if !faults.isEmpty {
            lines += ["", "NOT CLEAN:"] + faults.map { "- round \($0.round), \($0.peer.rawValue): \($0.faults)" }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// scenario, round, peer, measure, figure, faults; tabs between.
    var lines: [String] {
        samples.flatMap { sample in
            zip(scenario.measures, sample.figures).map { measure, figure in
                [
                    scenario.name, "\(sample.round)", sample.peer.rawValue, measure.name, "\(figure)",
                    sample.faults.isEmpty ? "clean" : "NOT CLEAN",
                ].joined(separator: "\t")
            }
        }
    }

    private func verdict(_ index: Int, _ measure: Measure) -> String {
        let (figure, most, kind): (Double, Double, String)
        switch measure.bar {
        case nil: return ""
        case .ofNginx(let bar): (figure, most, kind) = (Statistics.median(ratios(index, of: .weir)), bar, " of nginx")
        case .atMost(let bar): (figure, most, kind) = (Statistics.median(figures(index, .weir)), bar, "")
        }
        guard !figure.isNaN else { return "" }
        return "<= \(Self.number(most, decimals: 2))\(kind): \(figure <= most ? "met" : "MISSED")"
    }

    private static func spread(_ values: [Double], decimals: Int) -> String {
        guard let least = values.min(), let most = values.max() else { return "-" }
        let middle = number(Statistics.median(values), decimals: decimals)
        guard values.count > 1 else { return middle }
        return "\(middle) (\(number(least, decimals: decimals))-\(number(most, decimals: decimals)))"
    }

    static func number(_ value: Double, decimals: Int) -> String {
        guard value.isFinite else { return "-" }
        let scale = [1.0, 10, 100, 1000][decimals]
        let scaled = Int((value * scale).rounded())
        guard decimals > 0 else { return "\(scaled)" }
        let digits = String(scaled.magnitude)
        let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
        return (scaled < 0 ? "-" : "") + padded.dropLast(decimals) + "." + padded.suffix(decimals)
    }

    /// Markdown that is a table for the eye too.
    private static func table(_ rows: [[String]]) -> [String] {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let line: ([String]) -> String = { cells in
            "| "
                + zip(cells, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: " | ")
                + " |"
        }
        let rule = "|" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "|") + "|"
        return [line(rows[0]), rule] + rows.dropFirst().map(line)
    }
}
