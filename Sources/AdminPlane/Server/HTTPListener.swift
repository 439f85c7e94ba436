// SPDX-License-Identifier: Apache-2.0
//
// A listening socket of http, and what a connection that comes over it goes through: NIO's sockets, TLS where the
// address has it, Hummingbird's HTTP/1.1. The socket was opened by the master and comes as a descriptor.

import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import ProxyConfig
import Vocabulary

struct HTTPListener: Sendable {
    private let channel: any Channel

    /// Takes over the descriptor.
    init(
        descriptor: Int32, listener: Listener, group: any EventLoopGroup, service: AdminService
    ) async throws(AdminFault) {
        let endpoint = listener.endpoint
        do {
            channel = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: CInt(clamping: listener.backlog))
                .childChannelOption(.allowRemoteHalfClosure, value: true)
                .childChannelInitializer { Self.accept($0, at: endpoint, service) }
                .withBoundSocket(descriptor).get()
        } catch {
            throw AdminFault("cannot listen at \(endpoint.text): \(error)")
        }
    }

    /// Connections that are open already go on.
    func close() async { try? await channel.close() }

    private static func accept(
        _ channel: any Channel, at endpoint: Endpoint, _ service: AdminService
    ) -> EventLoopFuture<Void> {
        guard service.connections.enter(channel) else { return channel.close() }
        let http = HTTP1Channel(
            responder: { request, writer, channel in
                try await service.answer(request, writer, over: channel, at: endpoint)
            },
            configuration: HTTP1Channel.Configuration(
                additionalChannelHandlers: [StalledReaderHandler(patience: service.limits.reader)],
                idleTimeout: service.limits.idle,
                httpDecoderConfiguration: HTTP1Channel.Configuration.DecoderConfiguration(
                    maxHeaderFieldSize: service.limits.headerFieldBytes,
                    maxHeaderListSize: service.limits.headerBytes,
                    maxHeaderFieldCount: service.limits.headerFields)))
        return channel.eventLoop.makeCompletedFuture {
            // Of the present generation: a certificate that a reload brought holds from the next connection on.
            if let tls = service.site(at: endpoint)?.tls {
                try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls))
            }
        }.flatMap {
            http.setup(channel: channel, logger: silence)
        }.map { connection in
            service.connections.serve { await http.handle(value: connection, logger: silence) }
        }
    }

    /// Hummingbird writes about requests, which may hold what no log may.
    private static let silence = Logger(label: "http") { _ in SwiftLogNoOpLogHandler() }
}
