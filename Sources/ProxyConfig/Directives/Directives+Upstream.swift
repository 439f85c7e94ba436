// SPDX-License-Identifier: Apache-2.0
//
// ngx_stream_upstream_module: groups of servers and how one of them is chosen.

extension DirectiveTable {
    static let upstreamDirectives: [Directive] = [
        .block("upstream", .stream, 1...1) { $0.openUpstream($1) },
        .repeatable("server", .upstream, Directive.any) { $0.addUpstreamServer($1) },
        .simple("zone", .upstream, 1...2) { $0.setZone($1) },
        .simple("state", .upstream, 1...1) { $0.setState($1) },
        .repeatable("hash", .upstream, 1...2) { assembler, statement in
            if statement.arguments.count == 2, !statement.words[2].equals("consistent") {
                assembler.invalidParameter(statement.words[2], hint: "after the key stands consistent, or nothing")
                return
            }
            let isConsistent = statement.arguments.count == 2
            assembler.setMethod(.hash(key: statement.first, isConsistent: isConsistent), statement)
        },
        .repeatable("least_conn", .upstream, 0...0) { $0.setMethod(.leastConnections, $1) },
        .repeatable("random", .upstream, 0...2) { $0.setRandom($1) },
    ]
}

extension Assembler {
    private static let serverParameters = [
        "weight=", "max_conns=", "max_fails=", "fail_timeout=", "slow_start=", "backup", "down",
        "drain",
    ]

    mutating func openUpstream(_ statement: Statement) {
        let name = statement.first
        let key = name.bytes.lowercasedASCII
        if let first = upstreamByName[key] {
            error(
                "duplicate upstream \"\(shown(name.bytes))\"", at: name,
                hint: "the first one is in \(placeText(upstreamDrafts[first].name.position)); "
                    + "give one of them another name")
        } else {
            upstreamByName[key] = upstreamDrafts.count
        }
        upstreamDrafts.append(UpstreamDraft(name: name))
        openBlock(.upstream, statement)
        if let changed = options.servers[name.text] { pendingFile = .servers(changed) }
    }

    mutating func setMethod(_ method: UpstreamDraft.MethodDraft, _ statement: Statement) {
        if upstream.hasMethod {
            warn(
                "load balancing method redefined", at: statement.name, hint: "the last one counts; take the others out")
        }
        upstream.method = method
        upstream.hasMethod = true
    }

    mutating func setRandom(_ statement: Statement) {
        let words = Array(statement.arguments)
        if let two = words.first, !two.equals("two") {
            invalidParameter(two, hint: "write random; or random two;")
            return
        }
        if words.count > 1, !words[1].equals("least_conn") {
            if words[1].hasPrefix("least_time") {
                error(
                    "Weir does not have the \"\(shown(words[1].bytes))\" method of \"random\" yet", at: words[1],
                    hint: "write random two least_conn;")
            } else {
                invalidParameter(words[1], hint: "write random two least_conn;")
            }
            return
        }
        setMethod(.random(isTwo: !words.isEmpty), statement)
    }

    mutating func setZone(_ statement: Statement) {
        guard let name = zoneName(statement.first) else { return }
        if statement.arguments.count == 2, Quantity.size(statement.words[2].bytes) == nil {
            error(
                "invalid zone size \"\(shown(statement.words[2].bytes))\"", at: statement.words[2],
                hint: Assembler.sizeHint)
            return
        }
        upstream.zone = name
    }

    /// Nil for the empty one, which has been refused.
    mutating func zoneName(_ word: Word) -> String? {
        if !word.bytes.isEmpty { return word.text }
        error("invalid zone name \"\"", at: word, hint: "give it a name, like brokers")
        return nil
    }

    /// The file is read at once, as if its lines stood here.
    mutating func setState(_ statement: Statement) {
        guard let file = filePath(statement) else { return }
        if upstream.hasOwnServers { refuseServersBesideState(at: statement.name) }
        let path = Array(options.pathBelowPrefix(file.word.text).utf8)
        if let owner = upstreamByStateFile.updateValue(upstream.name.text, forKey: path) {
            error(
                "state file \"\(shown(path))\" belongs to upstream \"\(shown(Array(owner.utf8)))\" already",
                at: file.word,
                hint: "each upstream keeps its servers in a file of its own")
            return
        }
        upstream.state = file
        pendingFile = .state(file.word)
    }

    private mutating func refuseServersBesideState(at word: Word) {
        error(
            "\"state\" and \"server\" exclude each other in upstream \"\(shown(upstream.name.bytes))\"", at: word,
            hint: "the servers stand in the state file, which the API changes; take one of the two out")
    }

    mutating func addUpstreamServer(_ statement: Statement) {
        if !isInStateFile {
            // They were changed at run time: what the block itself says does not hold any more.
            if options.servers[upstream.name.text] != nil { return }
            if upstream.state != nil, !upstream.hasOwnServers { refuseServersBesideState(at: statement.name) }
            upstream.hasOwnServers = true
        }
        let address = statement.first
        let parsed: AddressText
        do throws(AddressText.Fault) {
            parsed = try AddressText.parse(address.bytes, isListen: false)
        } catch {
            self.error(
                "\(error.reason) in upstream \"\(shown(address.bytes))\"", at: address, hint: error.remedy)
            return
        }
        if case .unix = parsed.host {
            // A path has no port.
        } else if parsed.ports == nil {
            error(
                "no port in upstream \"\(shown(address.bytes))\"", at: address,
                hint: "write the port, too: \(parsed.hostText):1883")
            return
        }
        var line = UpstreamDraft.ServerLine(address: address, parsed: parsed)
        for word in statement.arguments.dropFirst() { readServerParameter(word, into: &line) }
        upstream.servers.append(line)
    }

    private mutating func readServerParameter(_ word: Word, into line: inout UpstreamDraft.ServerLine) {
        if word.hasPrefix("weight=") {
            // Sums of weights stay far from overflow.
            line.weight = number(word, after: 7, in: 1...1_000_000) ?? line.weight
        } else if word.hasPrefix("max_conns=") {
            line.maxConnections = number(word, after: 10, in: 0...Int(Int32.max)) ?? line.maxConnections
        } else if word.hasPrefix("max_fails=") {
            line.maxFails = number(word, after: 10, in: 0...Int(Int32.max)) ?? line.maxFails
        } else if word.hasPrefix("fail_timeout=") {
            line.failTimeoutSeconds = seconds(word, after: 13) ?? line.failTimeoutSeconds
        } else if word.equals("backup") {
            line.backup = word
        } else if word.equals("down") {
            line.isDown = true
        } else if word.equals("drain") {
            line.isDraining = true
        } else if word.hasPrefix("slow_start=") {
            guard let time = milliseconds(word, after: 11) else { return }
            line.slowStart = (word, time)
        } else if word.equals("resolve") || word.hasPrefix("service=") {
            error(
                "Weir does not have the \"\(shown(word.bytes))\" parameter of \"server\" yet", at: word,
                hint: "take it out; names are resolved at start and at each reload until then")
        } else {
            invalidParameter(word, hint: Assembler.parameterHint(word, known: Assembler.serverParameters))
        }
    }
}
