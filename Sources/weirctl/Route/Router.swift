// SPDX-License-Identifier: Apache-2.0
//
// Which broker a client id leads to at each server of a configuration, by the workers' own choice. Pure: the
// configuration is there, nobody is asked.

import AdminPlane
import ProxyConfig
import Vocabulary

/// What one server block does with a client.
struct Route: Encodable, Equatable {
    /// Addresses of the server block; empty where an upstream was asked about.
    var listen: [String]
    var upstream: String?
    /// As the configuration has it: `hash … consistent`, `least_conn`.
    var method: String?
    /// The broker's address; absent where the id does not decide.
    var server: String?
    /// As the configuration names it.
    var name: String?
    /// Why there is no server.
    var reason: String?
}

struct Router {
    let configuration: Configuration
    let client: KnownClient
    /// Brokers, by address or as the configuration names them, that are taken for dead.
    var dead: Set<String> = []

    /// One for each server block that proxies; of one address, if `listen` says which.
    func routes(listen: String?) throws(CommandFault) -> [Route] {
        var routes: [Route] = []
        for index in configuration.servers.indices {
            let addresses = configuration.listeners.filter { $0.server == index || $0.names.leads(to: index) }
                .map(\.endpoint.text)
            guard listen.map({ asked in addresses.contains { Self.isMeant(asked, $0) } }) ?? true else { continue }
            switch configuration.servers[index].content {
            case .respond, .pass: continue
            case .proxy(let upstream):
                routes.append(route(configuration.upstreams[upstream], at: configuration.servers[index], addresses))
            case .proxyByName(let name): routes.append(route(name, at: configuration.servers[index], addresses))
            }
        }
        guard !routes.isEmpty else {
            throw CommandFault(
                listen.map { "no server that proxies listens at \($0)" } ?? "no server has a proxy_pass", .nothingFound)
        }
        return routes
    }

    func route(upstream name: String) throws(CommandFault) -> Route {
        guard let upstream = configuration.upstreams.first(where: { $0.name == name }) else {
            throw CommandFault("no upstream is called \"\(name)\"", .nothingFound)
        }
        return route(upstream, at: nil, [])
    }

    /// A whole address, or its port.
    static func isMeant(_ asked: String, _ address: String) -> Bool {
        asked == address || address.hasSuffix(":" + asked) && asked.allSatisfy(\.isNumber)
    }

    // MARK: -

    private func route(_ name: Template, at server: Server, _ listen: [String]) -> Route {
        let text: String
        do throws(Placement.Unknown) {
            text = String(decoding: try client.value(of: name, in: configuration, at: server), as: UTF8.self)
        } catch {
            return Route(listen: listen, reason: "proxy_pass has variables; \(Self.reason(error))")
        }
        guard let upstream = configuration.upstreams.first(where: { $0.isExplicit && $0.name == text }) else {
            return Route(listen: listen, server: text, name: text)
        }
        return route(upstream, at: server, listen)
    }

    private func route(_ upstream: Upstream, at server: Server?, _ listen: [String]) -> Route {
        var route = Route(listen: listen, upstream: upstream.name, method: upstream.method.text(in: configuration))
        do throws(Placement.Unknown) {
            let index: Int
            if let only = only(of: upstream) {
                index = only
            } else {
                index = try choice(in: upstream, at: server)
            }
            route.server = upstream.peers[index].endpoint.text
            route.name = upstream.peers[index].serverText
        } catch {
            route.reason = Self.reason(error)
        }
        return route
    }

    private func choice(in upstream: Upstream, at server: Server?) throws(Placement.Unknown) -> Int {
        let placement = try Placement(upstream)
        guard case .hash(let template, _) = upstream.method else { throw .notByKey }
        let key = try client.value(of: template, in: configuration, at: server)
        // Then round robin decides.
        guard !key.isEmpty else { throw .keyIsUnknown("something that is not empty") }
        return try placement.server(forKey: key) { isOpen(upstream.peers[$0]) }
    }

    /// Where there is nothing to choose, every method chooses the same.
    private func only(of upstream: Upstream) -> Int? {
        let open = upstream.peers.indices.filter { isOpen(upstream.peers[$0]) }
        let primaries = open.filter { !upstream.peers[$0].isBackup }
        let candidates = primaries.isEmpty ? open : primaries
        return candidates.count == 1 ? candidates[0] : nil
    }

    private func isOpen(_ peer: Peer) -> Bool {
        !peer.isDown && !peer.isDraining && dead.isDisjoint(with: [peer.endpoint.text, peer.serverText])
    }

    static func reason(_ unknown: Placement.Unknown) -> String {
        switch unknown {
        case .notByKey: "the method does not look at the client: any server may be next"
        case .keyIsUnknown(let what): "the key needs \(what), which a client id does not tell"
        case .noServers: "no server is left"
        }
    }
}

extension ServerNames {
    fileprivate func leads(to server: Int) -> Bool {
        exact.values.contains(server) || leadingMasks.values.contains(server) || trailingMasks.values.contains(server)
            || expressions.contains { $0.server == server }
    }
}

extension Upstream.Method {
    /// As the directive is written.
    func text(in configuration: Configuration) -> String {
        switch self {
        case .roundRobin: "round robin"
        case .hash(let key, let isConsistent): "hash \(key.text(in: configuration))\(isConsistent ? " consistent" : "")"
        case .leastConnections: "least_conn"
        case .random(let isTwo): isTwo ? "random two" : "random"
        }
    }
}

extension Template {
    fileprivate func text(in configuration: Configuration) -> String {
        parts.map { part in
            switch part {
            case .literal(let bytes): String(decoding: bytes, as: UTF8.self)
            case .variable(.builtin(let variable)): "$" + variable.rawValue
            case .variable(.map(let index)): "$" + configuration.maps[index].variable
            case .variable(.assigned(let index)): "$" + configuration.assignedVariables[index]
            case .variable(.capture(let group)): "$\(group)"
            }
        }.joined()
    }
}
