// SPDX-License-Identifier: Apache-2.0
//
// The stream and server contexts themselves (ngx_stream_core_module), variables (map, set), access rules, return, pass,
// and the MQTT preread.

import Vocabulary

extension DirectiveTable {
    /// What a buffer may hold. nginx sets no bound; a session's memory has to have one.
    static let bufferBytes = 1...(64 << 20)
    /// setsockopt(2) takes an int.
    static let socketBufferBytes = 0...Int(Int32.max)

    static let streamDirectives: [Directive] = [
        .block("server", .stream, 0...0) { assembler, statement in
            assembler.serverDrafts.append(ServerDraft(position: statement.name.position))
            assembler.openBlock(.server, statement)
        },
        .repeatable("listen", [.server, .httpServer], Directive.any) { $0.addListen($1) },
        .repeatable("server_name", .server, Directive.any) { $0.addServerNames($1) },
        .simple("status_zone", .server, 1...1) { assembler, statement in
            if let name = assembler.zoneName(statement.first) { assembler.server.statusZone = name }
        },
        .size("preread_buffer_size", .levels, in: bufferBytes) { $0.settings.prereadBufferBytes = $1 },
        .time("preread_timeout", .levels) { $0.settings.prereadTimeoutMilliseconds = $1 },
        .time("proxy_protocol_timeout", .levels) { _, _ in },
        .flag("tcp_nodelay", .levels) { $0.settings.isTCPNoDelay = $1 },
        .simple("resolver", [.stream, .server, .upstream], Directive.any) { $0.checkResolver($1) },
        .time("resolver_timeout", [.stream, .server, .upstream]) { _, _ in },
        .simple("mqtt_preread", .levels, 1...1) { assembler, statement in
            if statement.first.equals("required") {
                assembler.settings.mqttPreread = .required
            } else if let isOn = assembler.flag(statement) {
                assembler.settings.mqttPreread = isOn ? .on : .off
            }
        },
        .block("map", .stream, 2...2) { $0.openMap($1) },
        .repeatable("set", .server, 2...2) { $0.addAssignment($1) },
        .simple("return", .server, 1...1) { $0.setContent(.respond($1.first), $1) },
        .simple("pass", .server, 1...1) { $0.setContent(.pass($1.first), $1) },
        .repeatable("allow", .levels.union(.adminLevels), 1...1) { $0.addAccessRule($1, isAllowed: true) },
        .repeatable("deny", .levels.union(.adminLevels), 1...1) { $0.addAccessRule($1, isAllowed: false) },

        // Without effect: Weir's tables grow by themselves.
        .ignored("variables_hash_max_size", .stream, 1...1),
        .ignored("variables_hash_bucket_size", .stream, 1...1),
        .ignored("server_names_hash_max_size", .stream, 1...1),
        .ignored("server_names_hash_bucket_size", .stream, 1...1),
        .ignored("map_hash_max_size", .stream, 1...1),
        .ignored("map_hash_bucket_size", .stream, 1...1),
    ]
}

extension Assembler {
    mutating func setContent(_ content: ServerDraft.ContentDraft, _ statement: Statement) {
        if server.content != nil {
            warn(
                "\"\(statement.name.text)\" replaces what the server did before", at: statement.name,
                hint: "a server has one of proxy_pass, pass and return; take one out")
        }
        server.content = content
    }

    mutating func addAssignment(_ statement: Statement) {
        guard let name = variableName(statement.first) else { return }
        guard BuiltinVariable(rawValue: String(decoding: name, as: UTF8.self)) == nil, mapByVariable[name] == nil else {
            refuseVariable(name, at: statement.first)
            return
        }
        if assignedByName[name] == nil {
            assignedByName[name] = assignedVariables.count
            assignedVariables.append(String(decoding: name, as: UTF8.self))
        }
        server.assignments.append((assignedByName[name] ?? 0, statement.words[2]))
    }

    mutating func refuseVariable(_ name: [UInt8], at word: Word) {
        error(
            "the duplicate \"\(shown(name))\" variable", at: word,
            hint: "another name is needed: this one is Weir's own, or made by map or set already")
    }

    // MARK: - map

    mutating func openMap(_ statement: Statement) {
        guard let name = variableName(statement.words[2]) else {
            skipBlock(named: "map", at: statement.name.position)
            return
        }
        if BuiltinVariable(rawValue: String(decoding: name, as: UTF8.self)) != nil || assignedByName[name] != nil {
            refuseVariable(name, at: statement.words[2])
        }
        // A second map of a name replaces the first one, as in nginx.
        mapByVariable[name] = mapDrafts.count
        mapDrafts.append(
            MapDraft(source: statement.first, variable: Word(bytes: name, position: statement.words[2].position)))
        openBlock(.map, statement)
    }

    mutating func readMapEntry(_ statement: Statement) {
        let map = mapDrafts.count - 1
        if statement.words.count == 1 {
            if statement.name.equals("hostnames") {
                mapDrafts[map].isHostnames = true
                return
            }
            if statement.name.equals("volatile") {
                mapDrafts[map].isVolatile = true
                return
            }
        }
        guard statement.words.count == 2 else {
            error(
                "invalid number of the map parameters", at: statement.name,
                hint: "an entry is a key and a value, ended by \";\"; put what has spaces between quotes")
            return
        }
        if statement.name.equals("default") {
            if mapDrafts[map].defaultValue != nil {
                error("duplicate default map parameter", at: statement.name, hint: "take one of them out")
            }
            mapDrafts[map].defaultValue = statement.words[1]
            return
        }
        mapDrafts[map].entries.append(MapDraft.Entry(key: statement.name, value: statement.words[1]))
    }

    // MARK: - allow, deny

    mutating func addAccessRule(_ statement: Statement, isAllowed: Bool) {
        let word = statement.first
        if word.equals("all") {
            settings.accessRules.append(.init(isAllowed: isAllowed, source: .all))
        } else if word.equals("unix:") {
            settings.accessRules.append(.init(isAllowed: isAllowed, source: .unix))
        } else if let (address, prefixLength) = Assembler.network(word.bytes) {
            let network = address.masked(prefixLength: prefixLength)
            if network != address {
                warn(
                    "low address bits of \(word.text) are meaningless", at: word,
                    hint: "the same network is \(network.text)/\(prefixLength)")
            }
            settings.accessRules.append(
                .init(isAllowed: isAllowed, source: .network(network, prefixLength: prefixLength)))
        } else {
            invalidParameter(word, hint: "write an address, a network like 192.0.2.0/24, unix: or all")
        }
    }

    private static func network(_ text: [UInt8]) -> (IPAddress, Int)? {
        let slash = text.firstIndex(of: UInt8(ascii: "/"))
        guard let address = IPAddress(utf8: text[..<(slash ?? text.endIndex)]) else { return nil }
        let bits = address.byteCount * 8
        guard let slash else { return (address, bits) }
        guard let prefixLength = Quantity.number(text[(slash + 1)...]), prefixLength <= bits else { return nil }
        return (address, prefixLength)
    }

    // MARK: - resolver

    /// The words are checked, and used when names are resolved again at run time.
    mutating func checkResolver(_ statement: Statement) {
        var hasServer = false
        for word in statement.arguments {
            if word.hasPrefix("valid=") {
                if Quantity.seconds(word.bytes.dropFirst(6)) == nil {
                    error(
                        "invalid parameter: \(shown(word.bytes))", at: word, hint: Assembler.secondsHint)
                }
            } else if word.hasPrefix("ipv4=") || word.hasPrefix("ipv6=") {
                let value = word.bytes.dropFirst(5)
                if !value.elementsEqual("on".utf8), !value.elementsEqual("off".utf8) {
                    invalidParameter(word, hint: "write on or off after \"=\"")
                }
            } else if word.hasPrefix("status_zone=") {
                continue
            } else if word.bytes.contains(UInt8(ascii: "=")) {
                hasServer = true
                invalidParameter(
                    word, hint: Assembler.parameterHint(word, known: ["valid=", "ipv4=", "ipv6=", "status_zone="]))
            } else {
                hasServer = true
                checkResolverAddress(word)
            }
        }
        if !hasServer {
            error("no name servers defined", at: statement.name, hint: "write the address of a name server first")
        }
    }

    private mutating func checkResolverAddress(_ word: Word) {
        if IPAddress(utf8: word.bytes[...]) != nil { return }
        do throws(AddressText.Fault) {
            let address = try AddressText.parse(word.bytes, isListen: false)
            switch address.host {
            case .address, .name: return
            case .any, .unix: invalidParameter(word, hint: "write the address of a name server, like 127.0.0.53")
            }
        } catch {
            self.error("\(error.reason) in resolver \"\(shown(word.bytes))\"", at: word, hint: error.remedy)
        }
    }
}

extension IPAddress {
    /// With the bits after the prefix cleared.
    func masked(prefixLength: Int) -> IPAddress {
        let highBits = min(prefixLength, 64)
        let lowBits = prefixLength - highBits
        let highMask: UInt64 = highBits == 0 ? 0 : ~0 << UInt64(64 - highBits)
        let lowMask: UInt64 = lowBits <= 0 ? 0 : ~0 << UInt64(64 - lowBits)
        return switch family {
        case .ipv4: IPAddress(ipv4: UInt32((high & highMask) >> 32))
        case .ipv6: IPAddress(ipv6High: high & highMask, low: low & lowMask)
        }
    }
}
