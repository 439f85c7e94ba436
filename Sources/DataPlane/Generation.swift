// SPDX-License-Identifier: Apache-2.0
//
// A configuration as a worker runs it. New connections use the newest generation; an older one lives only until the
// last session that was still choosing a broker when it was replaced has chosen.

import ProxyConfig
import Vocabulary

final class Generation {
    let number: UInt32
    /// Without its servers: what a worker needs of them is in their settings.
    private(set) var configuration: Configuration
    /// One for each of `configuration.upstreams`.
    private(set) var groups: [Group]
    /// For `proxy_pass` with variables.
    let groupByName: [String: Int]
    /// Sinks of `configuration.logDestinations`.
    let sinks: [Int]
    /// The settings table's index for each server block.
    private(set) var settings: [UInt32]
    /// For the generation after this one.
    let contexts: TLSContexts

    /// False where no address has more than its default server, which spares each connection a search.
    fileprivate let hasNames: Bool

    /// Index into `configuration.listeners`; made when a `pass` or a name first asks.
    fileprivate lazy var listenerByEndpoint = Dictionary(
        configuration.listeners.indices.map { (configuration.listeners[$0].endpoint, $0) },
        uniquingKeysWith: { first, _ in first })

    init(
        number: UInt32, configuration: Configuration, groups: [Group], sinks: [Int], settings: [UInt32],
        contexts: TLSContexts
    ) {
        self.number = number
        self.configuration = configuration
        self.groups = groups
        self.sinks = sinks
        self.settings = settings
        self.contexts = contexts
        hasNames = configuration.listeners.contains { !$0.names.isEmpty }
        groupByName = Dictionary(
            configuration.upstreams.indices.filter { configuration.upstreams[$0].isExplicit }
                .map { (configuration.upstreams[$0].name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Of a generation that nobody holds any more: gives up a part of what it has, and says which settings its caller
    /// lets go of in `table`. False when nothing worth a slice is left.
    func dismantle(_ table: inout SettingsTable) -> Bool {
        if !settings.isEmpty {
            for index in settings.suffix(Generation.sliceSettings) { table.letGo(index) }
            settings.removeLast(min(settings.count, Generation.sliceSettings))
        } else if !groups.isEmpty {
            groups.removeLast()
            configuration.upstreams.removeLast()
        }
        return !settings.isEmpty || !groups.isEmpty
    }

    private static let sliceSettings = 16
}

extension Generation {
    func listener(at endpoint: Endpoint) -> Listener? {
        listenerByEndpoint[endpoint].map { configuration.listeners[$0] }
    }

    /// Names that lead to other servers than the address's default; nil where there are none.
    func names(at endpoint: Endpoint) -> ServerNames? {
        guard hasNames, let names = listener(at: endpoint)?.names, !names.isEmpty else { return nil }
        return names
    }
}

/// Generations that some session or the worker itself still needs.
struct GenerationTable {
    private var entries: [(generation: Generation, holders: Int)?] = []

    var count: Int { entries.count { $0 != nil } }

    subscript(index: Int) -> Generation {
        guard let entry = entries[index] else { preconditionFailure("generation \(index) is gone") }
        return entry.generation
    }

    /// Adds with one holder.
    mutating func add(_ generation: Generation) -> Int {
        if let index = entries.firstIndex(where: { $0 == nil }) {
            entries[index] = (generation, 1)
            return index
        }
        entries.append((generation, 1))
        return entries.count - 1
    }

    mutating func hold(_ index: Int) {
        entries[index]!.holders += 1
    }

    /// The freed generation when this was its last holder, so that the caller lets go of what it names.
    mutating func letGo(_ index: Int) -> Generation? {
        entries[index]!.holders -= 1
        guard entries[index]!.holders == 0 else { return nil }
        let generation = entries[index]!.generation
        entries[index] = nil
        return generation
    }
}
