// SPDX-License-Identifier: Apache-2.0
//
// Servers that share an address: the name in a ClientHello leads to one of them. From then on the session has that
// server's settings, as nginx does it; those of the default server have been in effect before.

import Patterns
import ProxyConfig
import Vocabulary

extension Worker where K: ~Copyable {
    func hasNames(_ slot: Int) -> Bool {
        guard let routing = sessions[slot].routing else { return false }
        return generations[routing].names(at: listeners[Int(sessions[slot].listener)].endpoint) != nil
    }

    /// Nil or an unknown name: the default server goes on.
    mutating func chooseServer(_ slot: Int, named name: [UInt8]?) {
        defer { enterZone(slot) }
        guard var name, let routing = sessions[slot].routing,
            let names = generations[routing].names(at: listeners[Int(sessions[slot].listener)].endpoint)
        else { return }
        if name.last == UInt8(ascii: ".") { name.removeLast() }
        for index in name.indices { name[index] = MapKey.lowercased(name[index]) }
        guard !name.isEmpty, let server = server(named: name, in: names) else { return }
        adopt(slot, settings: generations[routing].settings[server])
    }

    private func server(named name: [UInt8], in names: ServerNames) -> Int? {
        if let server = names.exact[name] { return server }
        let dots = name.indices.filter { name[$0] == UInt8(ascii: ".") }
        for dot in dots {
            if let server = names.leadingMasks[Array(name[dot...])] { return server }
        }
        for dot in dots.reversed() {
            if let server = names.trailingMasks[Array(name[...dot])] { return server }
        }
        return names.expressions.first { matching.groups(of: $0.pattern, in: name) != nil }?.server
    }

    /// The session holds these settings from here on, and no others.
    mutating func adopt(_ slot: Int, settings: UInt32) {
        settingsTable.hold(settings)
        settingsTable.letGo(sessions[slot].settings)
        sessions[slot].settings = settings
    }
}
