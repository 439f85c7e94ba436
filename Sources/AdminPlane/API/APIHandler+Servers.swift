// SPDX-License-Identifier: Apache-2.0
//
// Servers of an upstream, to read and to change: nginx's endpoints, and `drain`, which nginx lacks for stream. What a
// parameter may be is the configuration's word; here it is only seen to that a request says what it means.

import ControlLink
import Foundation
import HTTPTypes
import NIOCore
import ProxyConfig
import SharedState
import Vocabulary

/// A server as the API shows it.
private struct ServerSettings: Encodable {
    var id: Int
    var server: String
    var weight: Int
    var max_conns: Int
    var max_fails: Int
    var fail_timeout: String
    var slow_start: String
    var backup: Bool
    var down: Bool
    var drain: Bool
    /// The name that the address was resolved from.
    var host: String?

    init(id: Int, _ peer: Peer, _ report: PeerReport) {
        self.id = id
        server = peer.endpoint.text
        weight = peer.weight
        max_conns = peer.maxConnections
        max_fails = peer.maxFails
        fail_timeout = "\(peer.failTimeoutSeconds)s"
        let milliseconds = peer.slowStartMilliseconds
        slow_start = milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
        backup = peer.isBackup
        down = peer.isDown || report.admin == .down
        drain = peer.isDraining || report.admin == .draining
        host = peer.serverText == server ? nil : peer.serverText
    }
}

extension APIHandler {
    func answerServers(
        _ request: AdminRequest, upstream name: String, server id: String?
    ) async throws(APIError) -> APIAnswer {
        guard context.configuration.upstreams.contains(where: { $0.isExplicit && $0.name == name }) else {
            throw .upstreamNotFound
        }
        guard let id else {
            try request.allow(.get, .post)
            return request.method == .post ? try await add(request, to: name) : .list(try servers(of: name))
        }
        try request.allow(.get, .patch, .delete)
        guard let number = Int(id), number >= 0 else {
            throw APIError(status: .badRequest, code: "UpstreamBadServerId", text: "invalid server ID")
        }
        let present = try servers(of: name)
        guard let server = present.first(where: { $0.id == number }) else { throw .serverNotFound }
        switch request.method {
        case .patch: return try await set(request, number, of: name)
        case .delete:
            _ = try await change(.remove(id: number), of: name, ServerParameters(), request)
            return .list(try servers(of: name))
        default: return .object(server)
        }
    }

    private func add(_ request: AdminRequest, to name: String) async throws(APIError) -> APIAnswer {
        let parameters = try ServerRequest(request).parameters
        guard let server = parameters.server else { throw .format("\"server\" is missing") }
        var others = parameters
        others.server = nil
        let ids = try await change(.add(server: server), of: name, others, request)
        let made = try servers(of: name).first { ids.contains($0.id) }
        guard let made else { throw .serverNotFound }
        var answer = APIAnswer.object(made)
        answer.status = .created
        answer.location = (request.path.hasSuffix("/") ? request.path : request.path + "/") + "\(made.id)"
        return answer
    }

    private func set(_ request: AdminRequest, _ id: Int, of name: String) async throws(APIError) -> APIAnswer {
        let parameters = try ServerRequest(request).parameters
        guard parameters.isBackup == nil else {
            throw APIError(AdminRefusal(.serverImmutable, "\"backup\" cannot be changed"))
        }
        let ids = try await change(.set(id: id), of: name, parameters, request)
        let changed = try servers(of: name).first { ids.contains($0.id) }
        guard let changed else { throw .serverNotFound }
        return .object(changed)
    }

    private func change(
        _ operation: MembershipChange.Operation, of name: String, _ parameters: ServerParameters,
        _ request: AdminRequest
    ) async throws(APIError) -> [Int] {
        do throws(AdminRefusal) {
            return try await context.control.change(
                MembershipChange(operation, upstream: name, parameters: parameters, requester: request.requester))
        } catch {
            throw APIError(error)
        }
    }

    /// In the order of the configuration. A server whose slot the region does not have is none yet.
    private func servers(of name: String) throws(APIError) -> [ServerSettings] {
        let upstream = context.configuration.upstreams.first { $0.isExplicit && $0.name == name }
        guard let upstream, let group = context.region.groupSlot(named: name) else { throw .upstreamNotFound }
        return zip(upstream.peerIdentities(), upstream.peers).compactMap { identity, peer in
            context.region.peerSlot(group: group, identity: identity).map { slot in
                ServerSettings(id: slot.index, peer, context.region.peerReport(slot))
            }
        }
    }
}
