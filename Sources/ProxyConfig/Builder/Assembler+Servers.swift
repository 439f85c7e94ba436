// SPDX-License-Identifier: Apache-2.0
//
// Linking of `server` blocks: what a block does not say it has from `stream`, and what that does not say is the
// default. Of lists (access rules, logs) a level has all of its own or all of the outer one.

extension Assembler {
    /// First the server itself, then its `listen`s, as many slices as they need.
    mutating func linkServer(_ source: inout some ConfigurationSource) {
        let draft = serverDrafts[cursor.draft]
        if cursor.part == 0, cursor.port == 0, configuration.servers.count == cursor.draft {
            serverLinks.append(ServerLink(draft))
            configuration.servers.append(server(from: draft, &source))
        }
        if linkListens(draft, &source) {
            // Given back here, a server a slice, and not all of them at the end.
            serverDrafts[cursor.draft] = ServerDraft(position: draft.position)
            nextDraft()
        }
    }

    private mutating func server(from draft: ServerDraft, _ source: inout some ConfigurationSource) -> Server {
        let place = draft.position
        if draft.listens.isEmpty, !draft.hasFault {
            error("no \"listen\" is defined for server", at: place, hint: "write the port to listen at: listen 1883;")
        }
        var content: Server.Content? = nil
        switch draft.content {
        case .proxy(let word): content = linkProxyPass(word, &source)
        case .respond(let word): content = .respond(template(word))
        case .pass(let word): content = linkPass(word, &source)
        case nil:
            if !draft.hasFault {
                error(
                    "no handler for server", at: place,
                    hint: "write where to: proxy_pass NAME; pass ADDRESS; or return TEXT;")
            }
        }
        var server = Server(
            origin: placeText(place), content: content ?? .respond(Template(parts: [])))
        server.name = serverName(draft)
        server.statusZone = draft.statusZone
        for (variable, value) in draft.assignments {
            server.assignments.append(Server.Assignment(variable: variable, value: template(value)))
        }
        setPrereadAndTimes(&server, draft.settings)
        setProxy(&server, draft.settings)
        setLogs(&server, draft.settings)
        server.accessRules =
            draft.settings.accessRules.isEmpty ? streamSettings.accessRules : draft.settings.accessRules
        server.healthChecks = healthChecks(draft, server, isLinked: content != nil)
        warnOfEmptyKey(draft, server)
        return server
    }

    /// The commonest way to lose stickiness: the group hashes the client id, and nobody reads it.
    private mutating func warnOfEmptyKey(_ draft: ServerDraft, _ server: Server) {
        guard server.mqttPreread == .off, case .proxy(let word) = draft.content,
            case .proxy(let upstream) = server.content,
            case .hash(let key, _) = configuration.upstreams[upstream].method
        else { return }
        for case .variable(.builtin(let variable)) in key.parts where variable.isReadFromConnect {
            warn(
                "the key of upstream \"\(shown(Array(configuration.upstreams[upstream].name.utf8)))\" is empty here",
                at: word, hint: "\"$\(variable.rawValue)\" needs \"mqtt_preread on;\" in this server or in stream")
            return
        }
    }

    private func setPrereadAndTimes(_ server: inout Server, _ own: Settings) {
        let outer = streamSettings
        server.mqttPreread = own.mqttPreread ?? outer.mqttPreread ?? .off
        server.prereadBufferBytes = own.prereadBufferBytes ?? outer.prereadBufferBytes ?? server.prereadBufferBytes
        server.prereadTimeoutMilliseconds =
            own.prereadTimeoutMilliseconds ?? outer.prereadTimeoutMilliseconds ?? server.prereadTimeoutMilliseconds
        server.readsClientHello = own.readsClientHello ?? outer.readsClientHello ?? false
        server.handshakeTimeoutMilliseconds =
            own.handshakeTimeoutMilliseconds ?? outer.handshakeTimeoutMilliseconds
            ?? server.handshakeTimeoutMilliseconds
        server.isTCPNoDelay = own.isTCPNoDelay ?? outer.isTCPNoDelay ?? true
        server.connectTimeoutMilliseconds =
            own.connectTimeoutMilliseconds ?? outer.connectTimeoutMilliseconds ?? server.connectTimeoutMilliseconds
        server.idleTimeoutMilliseconds =
            own.idleTimeoutMilliseconds ?? outer.idleTimeoutMilliseconds ?? server.idleTimeoutMilliseconds
        server.nextUpstreamTimeoutMilliseconds =
            own.nextUpstreamTimeoutMilliseconds ?? outer.nextUpstreamTimeoutMilliseconds ?? 0
    }

    private mutating func setProxy(_ server: inout Server, _ own: Settings) {
        let outer = streamSettings
        server.proxyBufferBytes = own.proxyBufferBytes ?? outer.proxyBufferBytes ?? server.proxyBufferBytes
        server.nextUpstream = own.nextUpstream ?? outer.nextUpstream ?? true
        server.nextUpstreamTries = own.nextUpstreamTries ?? outer.nextUpstreamTries ?? 0
        server.isHalfCloseAllowed = own.isHalfCloseAllowed ?? outer.isHalfCloseAllowed ?? false
        server.isUpstreamKeepAlive = own.isUpstreamKeepAlive ?? outer.isUpstreamKeepAlive ?? false
        server.upstreamReceiveBufferBytes = own.upstreamReceiveBufferBytes ?? outer.upstreamReceiveBufferBytes
        server.upstreamSendBufferBytes = own.upstreamSendBufferBytes ?? outer.upstreamSendBufferBytes
        server.uploadRate = rate(own.uploadRate ?? outer.uploadRate)
        server.downloadRate = rate(own.downloadRate ?? outer.downloadRate)
        if case .address(let word, let isTransparent) = own.proxyBind ?? outer.proxyBind {
            server.proxyBind = Server.ProxyBind(address: template(word), isTransparent: isTransparent)
        }
    }

    /// A constant becomes plain decimal bytes, and no limit becomes nil.
    private mutating func rate(_ word: Word?) -> Template? {
        guard let word else { return nil }
        guard let bytes = Quantity.size(word.bytes) else { return template(word) }
        return bytes == 0 ? nil : Template(parts: [.literal(Array(String(bytes).utf8))])
    }

    private mutating func setLogs(_ server: inout Server, _ own: Settings) {
        server.errorLogs =
            if !own.errorLogs.isEmpty { own.errorLogs } else if !streamSettings.errorLogs.isEmpty {
                streamSettings.errorLogs
            } else { main.errorLogs }
        let level = own.saysAccessLog ? own : streamSettings
        guard !level.isAccessLogOff else { return }
        for draft in level.accessLogs {
            guard let format = logFormat(draft.format) else { continue }
            var log = AccessLog(destination: draft.destination, format: format)
            log.bufferBytes = draft.bufferBytes
            log.flushMilliseconds = draft.flushMilliseconds
            log.condition = draft.condition.map { template($0) }
            log.events = draft.events ?? .standard
            server.accessLogs.append(log)
        }
    }

    private mutating func healthChecks(_ draft: ServerDraft, _ server: Server, isLinked: Bool) -> [HealthCheck] {
        var checks: [HealthCheck] = []
        for checkDraft in draft.healthChecks {
            guard case .proxy(let upstream) = server.content else {
                if isLinked || draft.content == nil {
                    error(
                        "health_check has no group of servers to check", at: checkDraft.position,
                        hint: "the server needs a proxy_pass to an upstream or an address, without variables")
                }
                continue
            }
            var check = checkDraft.check
            check.upstream = upstream
            if let name = checkDraft.match {
                if let match = matchByName[name.bytes] {
                    check.match = match
                } else {
                    let near = meant(name.bytes, among: matches.map(\.name))
                    error(
                        "unknown match \"\(shown(name.bytes))\"", at: name,
                        hint: near.map { "did you mean \"\($0)\"?" } ?? "define it: match NAME { send …; expect …; }")
                }
            }
            check.connectTimeoutMilliseconds = server.connectTimeoutMilliseconds
            check.timeoutMilliseconds =
                draft.settings.healthCheckTimeoutMilliseconds ?? streamSettings.healthCheckTimeoutMilliseconds
                ?? check.timeoutMilliseconds
            check.answerBytesMax = server.proxyBufferBytes
            check.errorLogs = server.errorLogs
            checks.append(check)
        }
        return checks
    }
}

extension BuiltinVariable {
    /// True for what only `mqtt_preread` knows.
    fileprivate var isReadFromConnect: Bool {
        switch self {
        case .mqttPrereadClientID, .mqttPrereadUserName, .mqttClientID, .mqttClientIDShort, .mqttVersion,
            .mqttKeepAlive, .mqttCleanStart:
            true
        default: false
        }
    }
}
