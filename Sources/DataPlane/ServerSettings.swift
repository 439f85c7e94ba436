// SPDX-License-Identifier: Apache-2.0
//
// What a session keeps of the configuration that it began with: its server block's settings, and the formats and maps
// that its logs name. Small on purpose: a session that lives for weeks holds this over a thousand reloads, and no
// ring, no group and no map that its logs do not need.

import ProxyConfig
import SharedState
import TLSEngine
import Vocabulary

final class ServerSettings {
    let server: Server
    /// `Configuration.assignedVariables` has so many.
    let assignedCount: Int
    /// `buffer=` and `flush=` live in the sinks; a line goes to `sink` in this format under this condition at these
    /// moments.
    struct AccessLine {
        let sink: Int
        let format: LogFormat
        let condition: Template?
        let events: AccessLog.Events
    }
    struct ErrorTarget {
        let sink: Int
        let level: LogLevel
    }
    let accessLines: [AccessLine]
    /// Some line is wanted while a session lives.
    let hasLivingLines: Bool
    let errorTargets: [ErrorTarget]
    /// The least severe level that any target takes.
    let errorLevelMin: LogLevel
    /// Nil where the block has no TLS towards clients, or towards brokers.
    let tls: TLSServerContext?
    let proxyTLS: TLSClientContext?
    /// Memory that its connections' contexts use.
    let sharing: TLSSharing
    let keyLogSink: Int?
    let proxyKeyLogSink: Int?
    /// Where its sessions are counted.
    let zone: ZoneSlot?
    /// Maps by their index in the configuration that this came from.
    let maps: [Int: MapTable]

    init(
        _ server: Server, of configuration: Configuration, zone: ZoneSlot?, sinkOf: [Int], contexts: TLSContexts
    ) {
        self.server = server
        self.zone = zone
        assignedCount = configuration.assignedVariables.count
        let formats = server.accessLogs.map { configuration.logFormats[$0.format] }
        accessLines = zip(server.accessLogs, formats).map { log, format in
            AccessLine(
                sink: sinkOf[log.destination], format: format, condition: log.condition, events: log.events)
        }
        hasLivingLines = server.accessLogs.contains { $0.events.contains(.connect) || $0.events.contains(.interval) }
        errorTargets = ServerSettings.targets(server.errorLogs, sinkOf)
        sharing = contexts.sharing
        tls = contexts.server(server.tls)
        proxyTLS = contexts.client(server.proxyTLS)
        keyLogSink = server.tls?.value.common.keyLog.map { sinkOf[$0] }
        proxyKeyLogSink = server.proxyTLS?.value.common.keyLog.map { sinkOf[$0] }
        maps = ServerSettings.reachableMaps(of: server, formats: formats, in: configuration.maps)
        errorLevelMin = errorTargets.map(\.level).min() ?? .emerg
    }

    static func targets(_ logs: [ErrorLog], _ sinkOf: [Int]) -> [ErrorTarget] {
        logs.map { ErrorTarget(sink: sinkOf[$0.destination], level: $0.level) }
    }

    /// Which maps the templates of `server` and its formats reach, maps in maps included.
    private static func reachableMaps(
        of server: Server, formats: [LogFormat], in tables: [MapTable]
    ) -> [Int: MapTable] {
        // Most configurations have no map, and a commit asks for each of a thousand blocks.
        guard !tables.isEmpty else { return [:] }
        var templates: [Template] = formats.map(\.template)
        templates += server.accessLogs.compactMap(\.condition)
        templates += server.assignments.map(\.value)
        templates += [server.uploadRate, server.downloadRate, server.proxyBind?.address].compactMap { $0 }
        switch server.content {
        case .proxy: break
        case .proxyByName(let name): templates.append(name)
        case .respond(let text): templates.append(text)
        case .pass(let address): templates.append(address)
        }
        var found: [Int: MapTable] = [:]
        while let template = templates.popLast() {
            for case .variable(.map(let index)) in template.parts where found[index] == nil {
                let table = tables[index]
                found[index] = table
                templates.append(table.source)
                templates.append(table.defaultValue)
                templates += Array(table.exact.values) + Array(table.prefixMasks.values)
                templates += Array(table.suffixMasks.values) + table.expressions.map(\.value)
            }
        }
        return found
    }
}

/// Settings by index, with the number of sessions that hold each; freed when the configuration has moved on and the
/// last session is gone.
struct SettingsTable {
    private struct Entry {
        var settings: ServerSettings
        var holders = 0
    }
    private var entries: [Entry?] = []
    private var free: [Int] = []

    /// How many settings exist; the documentation's promise about reloads is tested with it.
    var count: Int { entries.count - free.count }

    subscript(index: UInt32) -> ServerSettings {
        guard let entry = entries[Int(index)] else { preconditionFailure("settings \(index) are gone") }
        return entry.settings
    }

    /// Adds with one holder: the generation, or the listener, that names them.
    mutating func add(_ settings: ServerSettings) -> UInt32 {
        let index: Int
        if let last = free.popLast() {
            index = last
            entries[index] = Entry(settings: settings, holders: 1)
        } else {
            index = entries.count
            entries.append(Entry(settings: settings, holders: 1))
        }
        return UInt32(index)
    }

    mutating func hold(_ index: UInt32) {
        entries[Int(index)]!.holders += 1
    }

    mutating func letGo(_ index: UInt32) {
        entries[Int(index)]!.holders -= 1
        if entries[Int(index)]!.holders == 0 {
            entries[Int(index)] = nil
            free.append(Int(index))
        }
    }
}
