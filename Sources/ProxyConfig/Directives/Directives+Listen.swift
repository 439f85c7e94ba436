// SPDX-License-Identifier: Apache-2.0
//
// `listen` and its parameters. Which addresses it means is the linker's business: a name may have several.

import Vocabulary

extension Assembler {
    private static let listenParameters = [
        "default_server", "ssl", "backlog=", "rcvbuf=", "sndbuf=", "fastopen=", "deferred", "bind", "ipv6only=",
        "reuseport", "multipath", "so_keepalive=",
    ]

    mutating func addListen(_ statement: Statement) {
        var draft: ListenDraft
        do throws(AddressText.Fault) {
            draft = ListenDraft(
                address: statement.first, parsed: try AddressText.parse(statement.first.bytes, isListen: true))
        } catch {
            refuseListen(error.reason, at: statement.first, hint: error.remedy)
            return
        }
        if case .unix = draft.parsed.host {
            // A path has no port.
        } else if draft.parsed.ports == nil {
            let port = context == .httpServer ? 8080 : 1883
            refuseListen("no port", at: statement.first, hint: "write \(draft.parsed.hostText):\(port)")
            return
        }
        if context == .httpServer, let ports = draft.parsed.ports, ports.count > 1 {
            refuseListen("range of ports", at: statement.first, hint: "http listens at one port of an address")
            return
        }
        for word in statement.arguments.dropFirst() {
            if word.equals("default_server") || word.equals("default") {
                draft.isDefault = true
            } else if word.equals("ssl") {
                draft.isTLS = true
            } else if word.equals("bind") || word.equals("reuseport") {
                // Every address is bound on its own, and every worker has its own socket, always.
            } else if !refuseListenLater(word) {
                // Socket options: the endpoint is set when the address is known.
                var options = draft.options ?? Listener(endpoint: .unix(""), server: 0)
                readListenOption(word, into: &options)
                draft.options = options
            }
        }
        if context == .httpServer {
            admin.server.listens.append(draft)
        } else {
            server.listens.append(draft)
        }
    }

    mutating func refuseListen(_ reason: String, at word: Word, hint: String) {
        error("\(reason) in \"\(shown(word.bytes))\" of the \"listen\" directive", at: word, hint: hint)
    }

    /// True when the word is a parameter that nginx has and Weir has not yet.
    private mutating func refuseListenLater(_ word: Word) -> Bool {
        let remedy: String
        if word.equals("udp") {
            remedy = "take it out; Weir balances TCP until then"
        } else if word.equals("proxy_protocol") {
            remedy = "take it out, and let the sender not write a PROXY header"
        } else if word.hasPrefix("setfib=") || word.hasPrefix("accept_filter=") {
            warn("\"\(shown(word.bytes))\" is ignored", at: word, hint: "Linux has no such socket option")
            return true
        } else {
            return false
        }
        error("Weir does not have the \"\(word.text)\" parameter of \"listen\" yet", at: word, hint: remedy)
        return true
    }

    private mutating func readListenOption(_ word: Word, into options: inout Listener) {
        if word.equals("deferred") {
            options.isDeferred = true
        } else if word.equals("multipath") {
            options.isMultipath = true
        } else if word.hasPrefix("backlog=") {
            options.backlog = listenNumber(word, "backlog", in: 1...Int(Int32.max)) ?? options.backlog
        } else if word.hasPrefix("fastopen=") {
            options.fastOpenQueue = listenNumber(word, "fastopen", in: 0...Int(Int32.max))
        } else if word.hasPrefix("rcvbuf=") {
            options.receiveBufferBytes = listenSize(word, "rcvbuf")
        } else if word.hasPrefix("sndbuf=") {
            options.sendBufferBytes = listenSize(word, "sndbuf")
        } else if word.hasPrefix("ipv6only=") {
            let value = word.bytes.dropFirst(9)
            options.isIPv6Only = !value.elementsEqual("off".utf8)
            if options.isIPv6Only, !value.elementsEqual("on".utf8) {
                error("invalid ipv6only flags \"\(shown(Array(value)))\"", at: word, hint: "write on or off")
            }
        } else if word.hasPrefix("so_keepalive=") {
            options.keepAlive = keepAlive(word)
        } else {
            error(
                "the invalid \"\(shown(word.bytes))\" parameter", at: word,
                hint: Assembler.parameterHint(word, known: Assembler.listenParameters))
        }
    }

    private mutating func listenNumber(_ word: Word, _ name: String, in range: ClosedRange<Int>) -> Int? {
        let text = word.bytes.dropFirst(name.utf8.count + 1)
        if let value = Quantity.number(text), range.contains(value) { return value }
        error("invalid \(name) \"\(shown(word.bytes))\"", at: word, hint: "write a number from \(range.lowerBound) on")
        return nil
    }

    private mutating func listenSize(_ word: Word, _ name: String) -> Int? {
        let text = word.bytes.dropFirst(name.utf8.count + 1)
        if let value = Quantity.size(text), DirectiveTable.socketBufferBytes.contains(value) { return value }
        error("invalid \(name) \"\(shown(word.bytes))\"", at: word, hint: Assembler.sizeHint)
        return nil
    }

    /// `on`, `off`, or `[keepidle]:[keepintvl]:[keepcnt]`.
    private mutating func keepAlive(_ word: Word) -> Listener.KeepAlive? {
        var result = Listener.KeepAlive()
        let text = word.bytes.dropFirst(13)
        if text.elementsEqual("on".utf8) { return result }
        if text.elementsEqual("off".utf8) {
            result.isOn = false
            return result
        }
        let fields = text.split(separator: UInt8(ascii: ":"), maxSplits: 3, omittingEmptySubsequences: false)
        func field(_ index: Int, _ read: (ArraySlice<UInt8>) -> Int?) -> (isValid: Bool, value: Int?) {
            guard index < fields.count, !fields[index].isEmpty else { return (true, nil) }
            let value = read(fields[index]).flatMap { (1...Int(Int16.max)).contains($0) ? $0 : nil }
            return (value != nil, value)
        }
        let idle = field(0) { Quantity.seconds($0) }
        let interval = field(1) { Quantity.seconds($0) }
        let probes = field(2) { Quantity.number($0) }
        result.idleSeconds = idle.value
        result.intervalSeconds = interval.value
        result.probes = probes.value
        let saysSomething = idle.value != nil || interval.value != nil || probes.value != nil
        guard (2...3).contains(fields.count), saysSomething, idle.isValid, interval.isValid, probes.isValid else {
            error(
                "invalid so_keepalive value: \"\(shown(Array(text)))\"", at: word,
                hint: "write on, off or idle:interval:probes, like 30m::10")
            return nil
        }
        return result
    }
}
