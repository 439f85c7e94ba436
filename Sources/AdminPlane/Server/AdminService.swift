// SPDX-License-Identifier: Apache-2.0
//
// The way of a request: target, Host, location, address, password, other sites, body, handler; in this order, and each
// step either ends it with an answer or lets it on. Everything that a client can make large or slow is bounded here or
// in HTTPListener.

import HTTPTypes
import HummingbirdCore
import LinuxIO
import NIOCore
import ProxyConfig
import Synchronization
import Vocabulary

final class AdminService: Sendable {
    struct Limits: Sendable {
        var connections = 1024
        /// No request begins, or none is whole.
        var idle = TimeAmount.seconds(30)
        /// Until a body has come.
        var body = TimeAmount.seconds(10)
        /// For what still comes behind an answer that ends a connection.
        var linger = TimeAmount.seconds(1)
        /// Until a client reads what it asked for.
        var reader = TimeAmount.seconds(30)
        var bodyBytes = 64 * 1024
        var headerFieldBytes = 8 * 1024
        var headerBytes = 32 * 1024
        var headerFields = 100
    }

    /// What makes the server close a connection after its answer: bytes may still come that nobody wants.
    private struct LastRequest: Error {}

    let limits: Limits
    let connections: OpenConnections
    /// By listening address: the present generation.
    private let sites = Mutex<[Endpoint: ServedSite]>([:])

    init(limits: Limits = Limits()) {
        self.limits = limits
        connections = OpenConnections(limits.connections)
    }

    func adopt(_ sites: [Endpoint: ServedSite]) { self.sites.withLock { $0 = sites } }

    func site(at endpoint: Endpoint) -> ServedSite? { sites.withLock { $0[endpoint] } }

    /// Hummingbird's responder. Throwing closes the connection.
    func answer(
        _ request: Request, _ writer: consuming ResponseWriter, over channel: any Channel, at endpoint: Endpoint
    ) async throws {
        var step = Step(channel: channel, body: request.body.makeAsyncIterator())
        var response = await self.response(to: request, &step, at: endpoint)
        // A client may go on with its next request only if we know where this one ends, and what it means.
        let isLast = request.hasBody && !step.isBodyRead || step.isMalformed
        if isLast { response.headers[.connection] = "close" }
        response.addGeneralHeaders(date: HTTPDate.text(secondsSince1970: Int(wallMilliseconds() / 1000)))
        if request.method == .head { response = response.createHeadResponse() }
        try await writer.write(response: response.head, body: response.body)
        if isLast {
            try await drain(&step)
            throw LastRequest()
        }
    }

    /// What is known of a request on its way.
    private struct Step {
        let channel: any Channel
        /// There is one iterator of a body.
        var body: RequestBody.AsyncIterator
        var isBodyRead = false
        var isMalformed = false
    }

    private func response(to request: Request, _ step: inout Step, at endpoint: Endpoint) async -> Response {
        guard let site = site(at: endpoint) else { return .page(.serviceUnavailable) }
        guard request.headers[.host] == nil, let target = request.head.path, let path = RequestPath(target: target)
        else {
            step.isMalformed = true
            return .page(.badRequest)
        }
        guard let location = site.location(for: path.text) else { return .page(.notFound) }
        let address = step.channel.remoteAddress.flatMap { $0.ipAddress }.flatMap { IPAddress(text: $0)?.unmapped }
        guard location.settings.accessRules.allow(address) else { return .page(.forbidden) }
        if step.channel.isLoopback, let host = request.head.authority,
            let reason = CrossSite.refusal(ofHost: host, names: site.names)
        {
            return Response(status: .misdirectedRequest, type: "text/plain", text: reason + "\n")
        }
        var user: String?
        if let users = location.users {
            user = await users.user(authorization: request.headers[.authorization])
            guard user != nil else { return .unauthorized(realm: users.realm) }
        }
        guard let handler = location.handler else { return .fixed(location.settings.content) }
        var admin = AdminRequest(
            method: request.method, path: path.text, location: location.settings.path,
            segments: Array(path.segments.dropFirst(location.settings.path.split(separator: "/").count)),
            query: path.query, headers: request.headers, body: ByteBuffer(),
            isWritable: location.settings.content == .api(isWritable: true), api: site.api,
            requester: user ?? address?.text ?? "unix:", localAddress: step.channel.localAddress?.ipAddress ?? "")
        if request.method.changes {
            if let reason = CrossSite.refusal(ofChange: request.head, names: site.names) {
                return Response(status: .forbidden, type: "text/plain", text: reason + "\n")
            }
            if admin.isWritable {
                guard let body = await collectBody(request, &step) else { return .page(.contentTooLarge) }
                admin.body = body
            }
        }
        return await handler.respond(to: admin)
    }

    // MARK: Bodies

    /// Nil: too large, or it did not come in time; then the connection is closed already.
    private func collectBody(_ request: Request, _ step: inout Step) async -> ByteBuffer? {
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limits.bodyBytes { return nil }
        let channel = step.channel
        let deadline = channel.eventLoop.scheduleTask(in: limits.body) { channel.close(promise: nil) }
        defer { deadline.cancel() }
        var body = ByteBuffer()
        do {
            while var part = try await step.body.next() {
                guard body.readableBytes + part.readableBytes <= limits.bodyBytes else { return nil }
                body.writeBuffer(&part)
            }
        } catch {
            return nil
        }
        step.isBodyRead = true
        return body
    }

    /// A close with bytes unread is a reset, which can take the answer away before it is read (nginx lingers, too).
    private func drain(_ step: inout Step) async throws {
        let channel = step.channel
        let deadline = channel.eventLoop.scheduleTask(in: limits.linger) { channel.close(promise: nil) }
        defer { deadline.cancel() }
        var rest = 1 << 20
        while rest > 0, let part = try await step.body.next() { rest -= part.readableBytes }
    }
}

extension Request {
    fileprivate var hasBody: Bool {
        headers[.transferEncoding] != nil || headers[.contentLength].map { $0 != "0" } ?? false
    }
}

extension HTTPRequest.Method {
    /// What RFC 9110, section 9.2.1 does not call safe.
    var changes: Bool { self != .get && self != .head && self != .options }
}

extension Channel {
    /// The client reached us by an address that only this machine has.
    fileprivate var isLoopback: Bool {
        guard let address = localAddress?.ipAddress.flatMap({ IPAddress(text: $0)?.unmapped }) else { return false }
        return address.family == .ipv4 ? address.byte(0) == 127 : address.high == 0 && address.low == 1
    }
}

extension Response {
    fileprivate static func unauthorized(realm: String) -> Response {
        var response = page(.unauthorized)
        let quoted = realm.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] }
        response.headers[.wwwAuthenticate] = "Basic realm=\"\(String(quoted))\""
        return response
    }

    /// `return`.
    fileprivate static func fixed(_ content: AdminLocation.Content) -> Response {
        switch content {
        case .respond(let status, let text):
            if text.isEmpty, status >= 300 { return page(.named(status)) }
            return Response(status: .named(status), type: "text/plain", text: text)
        case .redirect(let status, let target):
            var response = page(.named(status))
            response.headers[.location] = target
            return response
        case .api, .prometheus, .dashboard:
            preconditionFailure("a handler answers this")
        }
    }
}
