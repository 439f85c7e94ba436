// SPDX-License-Identifier: Apache-2.0
//
// Linking of `listen`: ranges and names become single addresses, each listened at once, whoever names it. Servers may
// share an address when their names differ; what their names come to is in Assembler+Names.

import Vocabulary

/// Who listens at one address; beside `Configuration.listeners`.
struct ListenerUse {
    var place: SourcePosition
    /// In the order of the text.
    var servers: [Int]
    /// Of the last one that has any.
    var names: [Word]
    var hasOptions: Bool
    var hasDefault: Bool
    /// Where the second server says so.
    var sharedPlace: SourcePosition? = nil

    var hasNames: Bool { !names.isEmpty }
}

extension Assembler {
    private static let slicePorts = 256

    /// True when all of the server's listens are done.
    mutating func linkListens(_ draft: ServerDraft, _ source: inout some ConfigurationSource) -> Bool {
        var work = 0
        while cursor.part < draft.listens.count {
            let listen = draft.listens[cursor.part]
            let addresses = listenAddresses(listen, &source)
            let ports = listen.parsed.ports ?? 0...0
            while cursor.port < ports.count {
                guard work < Assembler.slicePorts else { return false }
                let port = ports.lowerBound + UInt16(cursor.port)
                cursor.port += 1
                work += max(1, addresses.count) * max(1, draft.names.count)
                for endpoint in addresses { addListener(endpoint.withPort(port), listen, draft) }
            }
            cursor.part += 1
            cursor.port = 0
        }
        return true
    }

    mutating func listenAddresses(
        _ listen: ListenDraft, _ source: inout some ConfigurationSource
    ) -> [Endpoint] {
        switch listen.parsed.host {
        case .any: return [.ip(IPEndpoint(address: IPAddress(ipv4: 0), port: 0))]
        case .address(let address): return [.ip(IPEndpoint(address: address, port: 0))]
        case .unix(let path): return [.unix(path)]
        case .name(let host):
            switch addresses(of: host, &source) {
            case .success(let addresses): return addresses.map { .ip(IPEndpoint(address: $0, port: 0)) }
            case .failure(let fault):
                if cursor.port == 0 {
                    refuseListen("host not found", at: listen.address, hint: Assembler.hostHint(host, fault))
                }
                return []
            }
        }
    }

    private mutating func addListener(_ endpoint: Endpoint, _ listen: ListenDraft, _ draft: ServerDraft) {
        let server = cursor.draft
        guard let index = listenerByEndpoint[endpoint] else {
            var listener = listen.options ?? Listener(endpoint: endpoint, server: server)
            listener.endpoint = endpoint
            listener.server = server
            listener.isTLS = listen.isTLS
            listenerByEndpoint[endpoint] = configuration.listeners.count
            configuration.listeners.append(listener)
            listenerUses.append(
                ListenerUse(
                    place: listen.address.position, servers: [server], names: draft.names,
                    hasOptions: listen.options != nil, hasDefault: listen.isDefault))
            return
        }
        let use = listenerUses[index]
        let first = placeText(use.place)
        if use.servers.last == server || draft.names.isEmpty && !use.hasNames {
            error(
                "duplicate \"\(endpoint.text)\" address and port pair", at: listen.address,
                hint: "it is listened at in \(first) already; take one out, or give the servers different server_names")
            return
        }
        // A name matters from the second server on.
        if use.servers.count == 1 {
            addNames(use.names, to: index, server: use.servers[0])
            listenerUses[index].sharedPlace = listen.address.position
        }
        addNames(draft.names, to: index, server: server)
        listenerUses[index].servers.append(server)
        if !draft.names.isEmpty { listenerUses[index].names = draft.names }
        addOptions(listen, to: index, first)
        if listen.isDefault {
            if use.hasDefault {
                error(
                    "a duplicate default server for \(endpoint.text)", at: listen.address,
                    hint: "one server is the default of an address; take default_server out of one")
            }
            listenerUses[index].hasDefault = true
            configuration.listeners[index].server = server
        }
    }

    /// Of an address that another server listens at already. It speaks TLS when any of them says so.
    private mutating func addOptions(_ listen: ListenDraft, to index: Int, _ first: String) {
        if listen.isTLS { configuration.listeners[index].isTLS = true }
        guard var options = listen.options else { return }
        let former = configuration.listeners[index]
        if listenerUses[index].hasOptions {
            error(
                "duplicate listen options for \(former.endpoint.text)", at: listen.address,
                hint: "socket options are given once for an address: they are in \(first)")
        }
        listenerUses[index].hasOptions = true
        options.endpoint = former.endpoint
        options.server = former.server
        options.isTLS = former.isTLS
        options.names = former.names
        configuration.listeners[index] = options
    }
}

extension Endpoint {
    func withPort(_ port: UInt16) -> Endpoint {
        switch self {
        case .ip(let endpoint): .ip(IPEndpoint(address: endpoint.address, port: port))
        case .unix: self
        }
    }
}
