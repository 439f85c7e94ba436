// SPDX-License-Identifier: Apache-2.0
//
// Linking of `listen`: ranges and names become single addresses, each listened at once, whoever names it. Two servers
// may share an address when their names differ; without TLS no name reaches Weir, so the default one gets everything.

import Vocabulary

/// Who listens at one address; beside `Configuration.listeners`.
struct ListenerUse {
    var place: SourcePosition
    var names: Set<[UInt8]>
    /// The server that named it last: a second time in one block is a repetition.
    var server: Int
    var hasOptions: Bool
    var hasDefault: Bool
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
                work += max(1, addresses.count)
                for endpoint in addresses { addListener(endpoint.withPort(port), listen, draft) }
            }
            cursor.part += 1
            cursor.port = 0
        }
        return true
    }

    private mutating func listenAddresses(
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
        let names = Set(draft.names.map(\.bytes.lowercasedASCII))
        guard let index = listenerByEndpoint[endpoint] else {
            var listener = listen.options ?? Listener(endpoint: endpoint, server: server)
            listener.endpoint = endpoint
            listener.server = server
            listenerByEndpoint[endpoint] = configuration.listeners.count
            configuration.listeners.append(listener)
            listenerUses.append(
                ListenerUse(
                    place: listen.address.position, names: names, server: server, hasOptions: listen.options != nil,
                    hasDefault: listen.isDefault))
            return
        }
        let use = listenerUses[index]
        let first = "\(files[use.place.file].path):\(use.place.line)"
        if use.server == server || names.isEmpty && use.names.isEmpty || !names.isDisjoint(with: use.names) {
            error(
                "duplicate \"\(endpoint.text)\" address and port pair", at: listen.address,
                hint: "it is listened at in \(first) already; take one out, or give the servers different server_names")
            return
        }
        warn(
            "servers share \"\(endpoint.text)\"", at: listen.address,
            hint: "without TLS no name is sent: the default server (\(first)) gets all connections")
        listenerUses[index].names.formUnion(names)
        listenerUses[index].server = server
        if let options = listen.options {
            if use.hasOptions {
                error(
                    "duplicate listen options for \(endpoint.text)", at: listen.address,
                    hint: "socket options are given once for an address: they are in \(first)")
            }
            listenerUses[index].hasOptions = true
            let former = configuration.listeners[index].server
            configuration.listeners[index] = options
            configuration.listeners[index].endpoint = endpoint
            configuration.listeners[index].server = former
        }
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
}

extension Endpoint {
    fileprivate func withPort(_ port: UInt16) -> Endpoint {
        switch self {
        case .ip(let endpoint): .ip(IPEndpoint(address: endpoint.address, port: port))
        case .unix: self
        }
    }
}
