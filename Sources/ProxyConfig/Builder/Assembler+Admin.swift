// SPDX-License-Identifier: Apache-2.0
//
// Linking of `http`: a server a slice, or one file of it. Addresses are told from those of `stream`, levels are put
// together, and what would let strangers change Weir is refused.

import Vocabulary

extension Assembler {
    mutating func linkAdmin(_ source: inout some ConfigurationSource) {
        let draft = admin.servers[cursor.draft]
        guard readUsers(of: draft, &source) else { return }
        let secure = tls(of: draft, &source)
        guard secure.isDone else { return }
        var server = AdminServer(origin: placeText(draft.position))
        server.names = draft.names.map(\.text)
        server.tls = secure.settings
        let first = configuration.admin?.listeners.count ?? 0
        if configuration.admin == nil { configuration.admin = AdminSettings() }
        configuration.admin?.errorLogs =
            admin.level.settings.errorLogs.isEmpty ? main.errorLogs : admin.level.settings.errorLogs
        linkAdminListens(draft, &source)
        server.locations = draft.locations.compactMap { location(from: $0, of: draft) }
        configuration.admin?.servers.append(server)
        checkWriting(draft, server, listeners: configuration.admin?.listeners[first...] ?? [])
        nextDraft()
    }

    // MARK: - Addresses

    private mutating func linkAdminListens(_ draft: AdminServerDraft, _ source: inout some ConfigurationSource) {
        if draft.listens.isEmpty, !draft.hasFault {
            error(
                "no \"listen\" is defined for server", at: draft.position,
                hint: "write the address to listen at: listen 127.0.0.1:8080;")
        }
        if draft.locations.isEmpty, !draft.hasFault {
            error(
                "no \"location\" is defined for server", at: draft.position,
                hint: "write what it serves: location /api { api; }")
        }
        for listen in draft.listens {
            for endpoint in listenAddresses(listen, &source) {
                addAdminListener(endpoint.withPort(listen.parsed.ports?.lowerBound ?? 0), listen)
            }
        }
    }

    private mutating func addAdminListener(_ endpoint: Endpoint, _ listen: ListenDraft) {
        if let index = listenerByEndpoint[endpoint] {
            refuseAdminListener(endpoint, listen, "stream listens at it in \(placeText(listenerUses[index].place))")
            return
        }
        if let other = admin.serverByEndpoint.updateValue(cursor.draft, forKey: endpoint) {
            refuseAdminListener(
                endpoint, listen,
                "the server in \(placeText(admin.servers[other].position)) has it; put all locations into one server")
            return
        }
        var listener = listen.options ?? Listener(endpoint: endpoint, server: cursor.draft)
        listener.endpoint = endpoint
        listener.server = cursor.draft
        listener.isTLS = listen.isTLS
        configuration.admin?.listeners.append(listener)
    }

    private mutating func refuseAdminListener(_ endpoint: Endpoint, _ listen: ListenDraft, _ reason: String) {
        error("duplicate \"\(endpoint.text)\" address and port pair", at: listen.address, hint: reason)
    }

    // MARK: - TLS

    /// Not done when a file was read or settings were made instead.
    private mutating func tls(
        of draft: AdminServerDraft, _ source: inout some ConfigurationSource
    ) -> (isDone: Bool, settings: Shared<TLSServerSettings>?) {
        guard let listen = draft.listens.first(where: \.isTLS) else { return (true, nil) }
        let own = draft.level.settings.client.inheriting(admin.level.settings.client)
        guard own.hasCertificates else {
            if !draft.hasFault {
                error(
                    "no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive", at: listen.address,
                    hint: "write ssl_certificate FILE; and ssl_certificate_key FILE; in this server")
            }
            return (true, nil)
        }
        let words = (own.common.certificates + own.common.keys).map(\.word)
        if let variable = words.first(where: { $0.bytes.contains(UInt8(ascii: "$")) }) {
            error(
                "certificates have no variables in http", at: variable, hint: "write the path of a PEM file")
            return (true, nil)
        }
        let settings = sharedSettings(of: own, &source)
        return (settings != nil, settings)
    }

    // MARK: - Locations

    private mutating func location(
        from draft: AdminLocationDraft, of server: AdminServerDraft
    ) -> AdminLocation? {
        guard let content = draft.content else {
            if !draft.hasFault {
                error(
                    "no handler for location \"\(shown(draft.path.bytes))\"", at: draft.path,
                    hint: "write what it serves: api; prometheus; dashboard; or return CODE TEXT;")
            }
            return nil
        }
        // The page's files and its stream stand below it.
        if content == .dashboard, draft.isExact {
            error(
                "\"dashboard\" is not allowed in an exact location", at: draft.path,
                hint: "leave out the = in front of \(shown(draft.path.bytes)): the page consists of several files")
            return nil
        }
        var location = AdminLocation(path: draft.path.text, content: content)
        location.isExact = draft.isExact
        let levels = [draft.level, server.level, admin.level]
        location.accessRules = levels.map(\.settings.accessRules).first { !$0.isEmpty } ?? []
        location.basicAuth = basicAuth(levels)
        return location
    }

    /// Innermost level first. The realm and the file may come from different ones.
    private mutating func basicAuth(_ levels: [AdminLevel]) -> BasicAuth? {
        guard case .some(let realm)? = levels.compactMap(\.realm).first else { return nil }
        guard let file = levels.compactMap(\.usersFile).first else {
            error(
                "no \"auth_basic_user_file\" is defined for \"auth_basic\"", at: realm,
                hint: "without it nginx asks nobody; write who may: auth_basic_user_file FILE;")
            return nil
        }
        guard let users = secret(file, .openFile) else { return nil }
        guard users.bytes.split(separator: UInt8(ascii: "\n")).contains(where: Assembler.isUser) else {
            error(
                "no users are in \"\(shown(Array(users.path.utf8)))\"", at: file.word,
                hint: "write one a line, NAME:HASH, with a hash by: openssl passwd -6")
            return nil
        }
        return BasicAuth(realm: realm.text, usersPath: users.path, usersBytes: users.bytes)
    }

    /// `name:password…`; other lines are comments, as in nginx.
    private static func isUser(_ line: ArraySlice<UInt8>) -> Bool {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return false }
        return colon > line.startIndex && line.first != UInt8(ascii: "#")
    }

    /// False when a file was read instead: one a slice.
    private mutating func readUsers(of draft: AdminServerDraft, _ source: inout some ConfigurationSource) -> Bool {
        let levels = [admin.level, draft.level] + draft.locations.map(\.level)
        return !readNext(of: levels.compactMap(\.usersFile), &source)
    }

    // MARK: - Writing

    /// Whoever reaches an API that writes can take brokers away from devices.
    private mutating func checkWriting(
        _ draft: AdminServerDraft, _ server: AdminServer, listeners: ArraySlice<Listener>
    ) {
        let asksForCertificates = server.tls?.value.clientVerification == .on
        guard let open = listeners.first(where: { !$0.endpoint.isLocal && !($0.isTLS && asksForCertificates) })
        else { return }
        for location in server.locations where location.content == .api(isWritable: true) && !location.isGuarded {
            let written = draft.locations.first { $0.path.text == location.path && $0.isExact == location.isExact }
            error(
                "\"write=on\" lets everybody who reaches \(open.endpoint.text) change Weir",
                at: written?.write?.position,
                hint: "listen at 127.0.0.1 or unix: only; or say who may, here or further out: "
                    + "allow 192.0.2.0/24; deny all; or auth_basic with auth_basic_user_file")
        }
    }
}

extension AdminLocation {
    /// Somebody is kept out, by address or by password.
    fileprivate var isGuarded: Bool {
        if basicAuth != nil { return true }
        for rule in accessRules {
            if !rule.isAllowed { return true }
            if rule.source == .all { return false }
        }
        return false
    }
}

extension Endpoint {
    /// Reached from this machine alone.
    fileprivate var isLocal: Bool {
        switch self {
        case .unix: true
        case .ip(let endpoint):
            switch endpoint.address.family {
            case .ipv4: endpoint.address.masked(prefixLength: 8) == IPAddress(ipv4: 127 << 24)
            case .ipv6: endpoint.address == IPAddress(ipv6High: 0, low: 1)
            }
        }
    }
}
