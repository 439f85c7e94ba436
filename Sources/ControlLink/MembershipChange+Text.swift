// SPDX-License-Identifier: Apache-2.0
//
// A change and a refusal as text of a message: `key=value`, each ended by NUL, which no word of a configuration can
// hold. The reader takes no key twice and none that it does not know.

import ProxyConfig
import Vocabulary

extension MembershipChange {
    /// Nil when it cannot be said: a value holds a NUL, or all together are longer than a message's text.
    package var text: String? {
        var fields = [("upstream", upstream), ("by", requester)]
        switch operation {
        case .add(let server): fields.append(("add", server))
        case .set(let id): fields.append(("set", String(id)))
        case .remove(let id): fields.append(("remove", String(id)))
        }
        fields += parameters.fields + (name?.fields ?? [])
        guard !fields.contains(where: { $0.1.utf8.contains(0) }) else { return nil }
        let text = fields.map { "\($0.0)=\($0.1)\u{0}" }.joined()
        return text.utf8.count <= LinkMessage.changeTextBytesMax ? text : nil
    }

    /// Nil for what `text` does not make.
    package init?(text: String) {
        var fields: [Substring: String] = [:]
        for entry in text.split(separator: "\u{0}", omittingEmptySubsequences: true) {
            guard let sign = entry.firstIndex(of: "=") else { return nil }
            let value = String(entry[entry.index(after: sign)...])
            guard fields.updateValue(value, forKey: entry[..<sign]) == nil else { return nil }
        }
        guard let upstream = fields.removeValue(forKey: "upstream"), let by = fields.removeValue(forKey: "by")
        else { return nil }
        let add = fields.removeValue(forKey: "add")
        let set = fields.removeValue(forKey: "set")
        let remove = fields.removeValue(forKey: "remove")
        let operation: Operation
        switch (add, set.map { Int($0) }, remove.map { Int($0) }) {
        case (let server?, nil, nil): operation = .add(server: server)
        case (nil, .some(let id?), nil): operation = .set(id: id)
        case (nil, nil, .some(let id?)): operation = .remove(id: id)
        default: return nil
        }
        guard let parameters = ServerParameters(&fields) else { return nil }
        self.init(operation, upstream: upstream, parameters: parameters, requester: by)
        if let host = fields.removeValue(forKey: "host") {
            guard let resolved = ResolvedName(host, &fields) else { return nil }
            name = resolved
        }
        guard fields.isEmpty else { return nil }
    }
}

extension ResolvedName {
    fileprivate var fields: [(String, String)] {
        switch answer {
        case .success(let addresses): [("host", host), ("addresses", addresses.map(\.text).joined(separator: " "))]
        case .failure(let fault): [("host", host), ("fault", "\(fault.code) \(fault.reason)")]
        }
    }

    /// Takes its own out of `fields`; nil when it is neither of the two.
    fileprivate init?(_ host: String, _ fields: inout [Substring: String]) {
        let addresses = fields.removeValue(forKey: "addresses").map { text in
            text.split(separator: " ").map { IPAddress(text: String($0)) }
        }
        let fault = fields.removeValue(forKey: "fault")?.split(separator: " ", maxSplits: 1)
        switch (addresses, fault) {
        case (let addresses?, nil):
            let known = addresses.compactMap(\.self)
            guard !known.isEmpty, known.count == addresses.count else { return nil }
            self.init(host: host, answer: .success(known))
        case (nil, let fault?):
            guard fault.count == 2, let code = Int32(fault[0]) else { return nil }
            self.init(host: host, answer: .failure(SourceFault(code: code, reason: String(fault[1]))))
        default: return nil
        }
    }
}

extension ServerParameters {
    fileprivate var fields: [(String, String)] {
        let said: [(String, String?)] = [
            ("server", server), ("weight", weight.map { String($0) }),
            ("max_conns", maxConnections.map { String($0) }), ("max_fails", maxFails.map { String($0) }),
            ("fail_timeout", failTimeout), ("slow_start", slowStart), ("backup", isBackup.map { String($0) }),
            ("down", isDown.map { String($0) }), ("drain", isDraining.map { String($0) }),
        ]
        return said.compactMap { key, value in value.map { (key, $0) } }
    }

    /// Takes its own out of `fields`; nil when one of them is no value of its kind.
    fileprivate init?(_ fields: inout [Substring: String]) {
        var isValid = true
        func value<Value>(_ key: Substring, _ read: (String) -> Value?) -> Value? {
            guard let text = fields.removeValue(forKey: key) else { return nil }
            let value = read(text)
            if value == nil { isValid = false }
            return value
        }
        server = value("server") { $0 }
        weight = value("weight") { Int($0) }
        maxConnections = value("max_conns") { Int($0) }
        maxFails = value("max_fails") { Int($0) }
        failTimeout = value("fail_timeout") { $0 }
        slowStart = value("slow_start") { $0 }
        isBackup = value("backup") { Bool($0) }
        isDown = value("down") { Bool($0) }
        isDraining = value("drain") { Bool($0) }
        if !isValid { return nil }
    }
}

extension AdminRefusal {
    /// The code, a blank, the text; what is too long is cut with the message.
    package var messageText: String { "\(code.rawValue) \(text)" }

    package init(messageText: String) {
        let parts = messageText.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        let code = parts.first.flatMap { Code(rawValue: String($0)) }
        self.init(code ?? .failed, code != nil && parts.count == 2 ? String(parts[1]) : messageText)
    }
}
