// SPDX-License-Identifier: Apache-2.0
//
// Linking: the drafts become the configuration once all of the text is known. A slice links one server, one upstream,
// one format, a bounded number of entries of a map, or reads one file.
//
//   destinations → maps → mapCircles → formats → upstreams → servers → listeners → tls → admin → done

import Vocabulary

/// Where linking stands in the phase that is running.
struct LinkCursor {
    /// Index of the draft.
    var draft = 0
    /// Within the draft: an entry of a map, a line of an upstream, a `listen` of a server.
    var part = 0
    /// Within a `listen`: ports done.
    var port = 0
}

extension Assembler {
    /// Done when reading ends: what every later phase looks up.
    mutating func beginLinking() {
        if main.pidFile.isEmpty { main.pidFile = options.pathBelowPrefix("logs/weir.pid") }
        if main.errorLogs.isEmpty {
            let isStandardError = options.defaultErrorLog == "stderr"
            let path = options.pathBelowPrefix(options.defaultErrorLog)
            let index = destination(
                isStandardError ? .standardError : .file(path),
                key: Array((isStandardError ? "stderr" : path).utf8), nil)
            main.errorLogs = [ErrorLog(destination: index, level: .error)]
        }
        if !blocks[0].seen.contains(where: { DirectiveTable.all[$0.directive].name == "stream" }),
            report.errorCount == 0
        {
            warn(
                "no \"stream\" section in configuration", at: nil,
                hint: "nothing will be listened at: write stream { … }")
        }
        if let position = admin.position, admin.servers.isEmpty, report.errorCount == 0 {
            warn(
                "http serves nothing", at: position,
                hint: "write server { listen 127.0.0.1:8080; location /api { api; } } into it")
        }
        for variable in BuiltinVariable.allCases { variables[Array(variable.rawValue.utf8)] = .builtin(variable) }
        for (name, index) in mapByVariable { variables[name] = .map(index) }
        for (name, index) in assignedByName { variables[name] = .assigned(index) }
        configuration.servers.reserveCapacity(serverDrafts.count)
        serverLinks.reserveCapacity(serverDrafts.count)
        configuration.upstreams.reserveCapacity(upstreamDrafts.count)
        configuration.main = main
        configuration.assignedVariables = assignedVariables
        configuration.matches = matches
    }

    mutating func linkSlice(_ source: inout some ConfigurationSource) {
        switch phase {
        case .reading, .done: break
        case .destinations:
            guard cursor.draft < destinationDrafts.count else { return enter(.maps) }
            linkDestination(&source)
        case .maps:
            guard cursor.draft < mapDrafts.count else { return enter(.mapCircles) }
            linkMap()
        case .mapCircles:
            guard findMapCircles() else { return }
            enter(.formats)
        case .formats:
            guard cursor.draft < formatDrafts.count else { return enter(.upstreams) }
            linkFormat()
        case .upstreams:
            guard cursor.draft < upstreamDrafts.count else { return enter(.servers) }
            linkUpstream(&source)
        case .servers:
            guard cursor.draft < serverDrafts.count else { return enter(.listeners) }
            linkServer(&source)
        case .listeners:
            guard cursor.draft < configuration.listeners.count else { return enter(.tls) }
            finishListeners()
        case .tls:
            guard cursor.draft < configuration.servers.count else { return enter(.admin) }
            linkTLS(&source)
        case .admin:
            guard cursor.draft < admin.servers.count else { return enter(.done) }
            linkAdmin(&source)
        }
    }

    mutating func enter(_ next: Phase) {
        phase = next
        cursor = LinkCursor()
    }

    mutating func nextDraft() {
        cursor = LinkCursor(draft: cursor.draft + 1)
    }

    // MARK: - Names

    /// The addresses of a name; each name is asked for once.
    mutating func addresses(of host: String, _ source: inout some ConfigurationSource) -> Result<
        [IPAddress], SourceFault
    > {
        if let known = resolved[host] { return known }
        var answer = source.addresses(of: host)
        if case .success(let addresses) = answer, addresses.isEmpty {
            answer = .failure(SourceFault(code: 0, reason: "no address"))
        }
        resolved[host] = answer
        return answer
    }

    static func hostHint(_ host: String, _ fault: SourceFault) -> String {
        "\"\(shown(Array(host.utf8)))\" does not resolve (\(fault.reason)); check the name, or write an address"
    }

    private mutating func linkDestination(_ source: inout some ConfigurationSource) {
        let draft = destinationDrafts[cursor.draft]
        switch draft.kind {
        case .file(let path): configuration.logDestinations.append(.file(path))
        case .keyLog(let path): configuration.logDestinations.append(.keyLog(path))
        case .standardError: configuration.logDestinations.append(.standardError)
        case .syslog(var syslog, let server):
            let port = server.ports?.lowerBound ?? 514
            switch server.host {
            case .unix(let path): syslog.server = .unix(path)
            case .address(let address): syslog.server = .ip(IPEndpoint(address: address, port: port))
            case .any: break
            case .name(let host):
                switch addresses(of: host, &source) {
                case .success(let addresses): syslog.server = .ip(IPEndpoint(address: addresses[0], port: port))
                case .failure(let fault):
                    error(
                        "host not found in syslog server \"\(shown(Array(host.utf8)))\"", at: draft.word?.position,
                        hint: Assembler.hostHint(host, fault))
                }
            }
            configuration.logDestinations.append(.syslog(syslog))
        }
        nextDraft()
    }

    // MARK: - Formats

    private mutating func linkFormat() {
        let draft = formatDrafts[cursor.draft]
        var parts: [Template.Part] = []
        for word in draft.strings { parts += template(word).parts }
        configuration.logFormats.append(
            LogFormat(name: draft.name.text, escape: draft.escape, template: Template(parts: Template.joined(parts))))
        nextDraft()
    }

    /// The index of a format. A name of the configuration's own goes before one that Weir brings.
    mutating func logFormat(_ name: Word) -> Int? {
        if let known = formatByName[name.bytes] { return known }
        guard let preset = LogFormat.presets.first(where: { $0.name == name.text }) else {
            let near = meant(name.bytes, among: formatDrafts.map(\.name.text) + LogFormat.presets.map(\.name))
            error(
                "unknown log format \"\(shown(name.bytes))\"", at: name,
                hint: near.map { "did you mean \"\($0)\"?" } ?? "define it: log_format NAME '…';")
            return nil
        }
        configuration.logFormats.append(preset)
        formatByName[name.bytes] = configuration.logFormats.count - 1
        return formatByName[name.bytes]
    }
}
