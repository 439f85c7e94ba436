// SPDX-License-Identifier: Apache-2.0
//
// What a scenario measures, and what Weir sets itself as the bar.

struct Measure: Sendable {
    enum Bar: Sendable {
        /// At most this much of nginx's figure in the same round.
        case ofNginx(Double)
        /// At most this figure.
        case atMost(Double)
    }

    /// With its unit: `proxy CPU us/message`.
    var name: String
    var decimals: Int
    var bar: Bar? = nil
    /// Whether figures of two proxies are compared.
    var isCompared = true

    init(_ name: String, decimals: Int, bar: Bar? = nil, isCompared: Bool = true) {
        self.name = name
        self.decimals = decimals
        self.bar = bar
        self.isCompared = isCompared
    }

    /// CPUs that were busy with neither proxy nor load: other programs, and what the kernel did for both on its own.
    static let elsewhere = Measure("CPUs busy elsewhere", decimals: 2, isCompared: false)
}

/// One peer's figures of one round, in the order of the scenario's measures, and what went wrong.
struct Sample: Sendable {
    var round: Int
    var peer: Peer
    var figures: [Double]
    var faults: String
}

enum Statistics {
    static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return .nan }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
