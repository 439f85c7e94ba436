// SPDX-License-Identifier: Apache-2.0
//
// `http { … }`: the few words of nginx's HTTP that say where the admin process serves its API, its metrics and its
// dashboard, and to whom. Whatever else nginx's http has is refused with what there is.

extension DirectiveTable {
    static let adminDirectives: [Directive] = [
        .block("http", .main, 0...0, isRepeatable: false) { assembler, statement in
            assembler.admin.position = statement.name.position
            assembler.openBlock(.http, statement)
        },
        .block("server", .http, 0...0) { assembler, statement in
            assembler.admin.servers.append(AdminServerDraft(position: statement.name.position))
            assembler.openBlock(.httpServer, statement)
        },
        .repeatable("server_name", .httpServer, Directive.any) { assembler, statement in
            assembler.admin.server.names += statement.arguments
        },
        .block("location", .httpServer, 1...2) { $0.openLocation($1) },
        .repeatable("api", .location, 0...1) { $0.setAPI($1) },
        .repeatable("prometheus", .location, 0...0) { $0.setAdminContent(.prometheus, $1) },
        .repeatable("dashboard", .location, 0...0) { $0.setAdminContent(.dashboard, $1) },
        .repeatable("return", .location, 1...2) { $0.setAdminReturn($1) },
        .simple("auth_basic", .adminLevels, 1...1) { $0.setRealm($1) },
        .simple("auth_basic_user_file", .adminLevels, 1...1) { assembler, statement in
            guard let file = assembler.filePath(statement) else { return }
            assembler.admin[assembler.context].usersFile = file
        },
        .simple("access_log", .adminLevels, Directive.any) { assembler, statement in
            guard !statement.first.equals("off") || statement.arguments.count > 1 else { return }
            assembler.error(
                "there is no log of HTTP requests", at: statement.first,
                hint: "write access_log off; changes by the API are in the error log, with who made them")
        },
    ]
}

extension Assembler {
    /// The statement names something that nginx's http has, or nobody.
    mutating func refuseInHTTP(_ name: Word) {
        let known = DirectiveTable.names(in: context).filter { $0 != "include" }
        if let near = meant(name.bytes, among: known) {
            error("unknown directive \"\(shown(name.bytes))\"", at: name, hint: "did you mean \"\(near)\"?")
            return
        }
        error(
            "\"\(shown(name.bytes))\" directive is not supported in http", at: name,
            hint: "Weir is not a web server: http serves its own api, prometheus and dashboard. "
                + "Here may stand \(Array(Set(known)).sorted().joined(separator: ", "))")
    }

    // MARK: - location

    mutating func openLocation(_ statement: Statement) {
        guard let (path, isExact) = locationPath(statement) else {
            skipBlock(named: "location", at: statement.name.position)
            return
        }
        guard path.bytes.first == UInt8(ascii: "/"), !path.bytes.contains(where: { $0 < 0x21 || $0 == 0x7F }) else {
            error(
                "invalid location \"\(shown(path.bytes))\"", at: path,
                hint: "write the path of the URL, without spaces: location /api { api; }")
            skipBlock(named: "location", at: statement.name.position)
            return
        }
        let key = (isExact ? Array("=".utf8) : []) + path.bytes
        if let first = admin.server.placeOfLocation.updateValue(path.position, forKey: key) {
            error(
                "duplicate location \"\(shown(path.bytes))\"", at: path,
                hint: "the first one is in \(placeText(first)); take one out")
        }
        admin.server.locations.append(
            AdminLocationDraft(position: statement.name.position, path: path, isExact: isExact))
        openBlock(.location, statement)
    }

    /// The path and whether it stands for itself alone; nil where the modifier was refused. A modifier stands before
    /// the path, with or without a space between them.
    private mutating func locationPath(_ statement: Statement) -> (path: Word, isExact: Bool)? {
        let first = statement.first
        let isGlued = statement.arguments.count == 1
        if first.equals("=") || isGlued && first.hasPrefix("=") {
            return (isGlued ? first.dropFirst(1) : statement.words[2], true)
        }
        // Without expressions every prefix is a preferred one.
        if first.equals("^~") || isGlued && first.hasPrefix("^~") {
            return (isGlued ? first.dropFirst(2) : statement.words[2], false)
        }
        if first.hasPrefix("~") || first.hasPrefix("@") {
            error(
                "locations are paths in Weir", at: first,
                hint: "expressions and names are for web servers; write location /path { … } or location = /path { … }")
            return nil
        }
        if !isGlued {
            error(
                "invalid location modifier \"\(shown(first.bytes))\"", at: first,
                hint: "write location /path { … } or location = /path { … }")
            return nil
        }
        return (first, false)
    }

    mutating func setAdminContent(_ content: AdminLocation.Content, _ statement: Statement) {
        guard admin.location.content == nil else {
            error(
                "the location serves something already", at: statement.name,
                hint: "it has one of api, prometheus, dashboard and return; give this one a location of its own")
            return
        }
        admin.location.content = content
    }

    mutating func setAPI(_ statement: Statement) {
        var isWritable = false
        if let word = statement.arguments.first {
            isWritable = word.equals("write=on")
            guard isWritable || word.equals("write=off") else {
                invalidParameter(word, hint: "write api; or api write=on;")
                return
            }
            if isWritable { admin.location.write = word }
        }
        setAdminContent(.api(isWritable: isWritable), statement)
    }

    // MARK: - return

    private static let redirects: Set<Int> = [301, 302, 303, 307, 308]

    mutating func setAdminReturn(_ statement: Statement) {
        if let variable = statement.arguments.first(where: { $0.bytes.contains(UInt8(ascii: "$")) }) {
            error(
                "\"return\" takes no variables in http", at: variable,
                hint: "write the text, or the path to go to: return 301 /dashboard;")
            return
        }
        guard let status = Quantity.number(statement.first.bytes) else {
            let isTarget = statement.arguments.count == 1 && Assembler.isTarget(statement.first)
            if isTarget {
                setAdminContent(.redirect(status: 302, target: statement.first.text), statement)
            } else {
                refuseStatus(statement.first)
            }
            return
        }
        guard (200...599).contains(status) else {
            refuseStatus(statement.first)
            return
        }
        guard Assembler.redirects.contains(status) else {
            let text = statement.arguments.count > 1 ? statement.words[2].text : ""
            setAdminContent(.respond(status: status, text: text), statement)
            return
        }
        guard statement.arguments.count > 1, Assembler.isTarget(statement.words[2]) else {
            error(
                "no URL to go to in \"return\"", at: statement.arguments.last ?? statement.name,
                hint: "write return \(status) /path; or return \(status) https://host/path;")
            return
        }
        setAdminContent(.redirect(status: status, target: statement.words[2].text), statement)
    }

    /// What may stand in a `Location` header: no spaces, and nothing that ends a line.
    private static func isTarget(_ word: Word) -> Bool {
        let isAbsolute = word.hasPrefix("http://") || word.hasPrefix("https://")
        return (isAbsolute || word.hasPrefix("/")) && word.bytes.allSatisfy { $0 > 0x20 && $0 != 0x7F }
    }

    private mutating func refuseStatus(_ word: Word) {
        error(
            "invalid return code \"\(shown(word.bytes))\"", at: word,
            hint: "write a status from 200 to 599 and a text, or a URL to go to")
    }

    // MARK: - auth_basic

    mutating func setRealm(_ statement: Statement) {
        let realm = statement.first
        guard !realm.bytes.contains(where: { $0 < 0x20 || $0 == 0x7F || $0 == UInt8(ascii: "$") }) else {
            error(
                "invalid value \"\(shown(realm.bytes))\" in \"auth_basic\" directive", at: realm,
                hint: "write what the browser shows, in one line and without variables: auth_basic \"Weir\";")
            return
        }
        admin[context].realm = .some(realm.equals("off") ? nil : realm)
    }
}
