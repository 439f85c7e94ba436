// SPDX-License-Identifier: Apache-2.0
//
// The real worker against machines drawn from seeds. WEIR_SEED=n runs that one alone; WEIR_SEEDS=n runs so many from a
// first seed that the clock gives, for a soak. A seed that fails is printed and runs again the same.

import CTestTLS
import Glibc
import Testing

@Suite("the worker in simulated machines", .serialized)
struct SimulationTests {
    private static let seeds: [UInt64] = {
        if let seed = number("WEIR_SEED") { return [seed] }
        guard let count = number("WEIR_SEEDS") else { return Array(1...16) }
        let first = UInt64(time(nil)) * 1000
        return (0..<count).map { first + $0 }
    }()

    private static let tlsSeeds: [UInt64] = number("WEIR_SEED") == nil && number("WEIR_SEEDS") == nil
        ? Array(1...200) : seeds

    private static func number(_ name: String) -> UInt64? {
        guard let text = unsafe getenv(name) else { return nil }
        return UInt64(unsafe String(cString: text))
    }

    @Test("keeps its books whatever the machine does", arguments: seeds)
    func run(seed: UInt64) throws {
        // A trap ends the process, so the seed is said before.
        print("WEIR_SEED=\(seed)")
        let simulation = try Simulation(seed: seed)
        try simulation.run(clients: 250)
        #expect(simulation.faults.isEmpty, "WEIR_SEED=\(seed): \(simulation.faults.joined(separator: "\n"))")
        print("  \(simulation.summary)")
    }

    /// Smaller machines, and more of them: what goes wrong in TLS goes wrong between few.
    @Test("keeps its books over TLS", arguments: tlsSeeds)
    func runTLS(seed: UInt64) throws {
        _ = Credentials.shared
        ctt_seed(seed)
        defer { ctt_unseed() }
        print("WEIR_SEED=\(seed) (TLS)")
        let simulation = try Simulation(seed: seed, flavour: .tls)
        try simulation.run(clients: 12)
        if !simulation.faults.isEmpty && Self.number("WEIR_SEED") != nil { print(simulation.errorLog) }
        #expect(simulation.faults.isEmpty, "WEIR_SEED=\(seed): \(simulation.faults.joined(separator: "\n"))")
        print("  \(simulation.summary)")
    }
}
