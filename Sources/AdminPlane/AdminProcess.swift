// SPDX-License-Identifier: Apache-2.0
//
// The admin process's HTTP side: takes listening sockets and configurations from who speaks with the master, and
// serves. A reload is the same talk as at start: `prepare` builds and changes nothing, `commit` makes it the present
// one; existing connections go on and are answered by the new configuration from their next request.

import LinuxIO
import NIOCore
import NIOPosix
import ProxyConfig
import SharedState
import Vocabulary

package actor AdminProcess {
    /// What one configuration needs, built.
    package struct Generation: Sendable {
        let configuration: Configuration
        let sites: [Endpoint: ServedSite]
    }

    package nonisolated let context: AdminContext
    nonisolated let service: AdminService
    private let handlers: Handlers
    /// One thread reads and writes all sockets; there is little to do, and workers want the processors.
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private var listeners: [Endpoint: HTTPListener] = [:]

    package init(region: SharedRegion, control: any AdminControl) {
        self.init(region: region, control: control, limits: AdminService.Limits())
    }

    init(region: SharedRegion, control: any AdminControl, limits: AdminService.Limits) {
        context = AdminContext(configuration: Configuration(), region: region, control: control)
        service = AdminService(limits: limits)
        handlers = Handlers(
            api: APIHandler(context: context), metrics: MetricsHandler(context: context),
            dashboard: DashboardHandler(context: context))
    }

    /// Proves that the configuration can be served. Changes nothing.
    package nonisolated func prepare(_ configuration: Configuration) throws(AdminFault) -> Generation {
        var sites: [Endpoint: ServedSite] = [:]
        if let admin = configuration.admin {
            for listener in admin.listeners {
                sites[listener.endpoint] = try ServedSite(
                    admin.servers[listener.server], isTLS: listener.isTLS, handlers: handlers)
            }
        }
        return Generation(configuration: configuration, sites: sites)
    }

    /// Makes a generation the present one. `sockets` are listening sockets for addresses of its configuration that this
    /// process has not got yet; they belong to it from now on. Those that it has and the configuration has no more are
    /// closed. Throws when a socket is of no use; the generation is the present one and the others serve all the same.
    package func commit(_ generation: Generation, sockets: [Endpoint: Int32]) async throws(AdminFault) {
        context.adopt(generation.configuration)
        service.adopt(generation.sites)
        for (endpoint, listener) in listeners where generation.sites[endpoint] == nil {
            listeners[endpoint] = nil
            await listener.close()
        }
        var fault: AdminFault?
        for listener in generation.configuration.admin?.listeners ?? [] {
            guard let descriptor = sockets[listener.endpoint] else { continue }
            do throws(AdminFault) {
                listeners[listener.endpoint] = try await HTTPListener(
                    descriptor: descriptor, listener: listener, group: group, service: service)
            } catch {
                fault = error
            }
        }
        if let fault { throw fault }
    }

    /// The master waits for a second.
    private static let stopPatience = Duration.milliseconds(500)

    /// Closes the listening sockets and ends all connections.
    package func stop() async {
        for listener in listeners.values { await listener.close() }
        listeners = [:]
        // The loop outlives whoever may still schedule on it; where that takes long, the end of the process takes both.
        guard await service.connections.end(within: AdminProcess.stopPatience) else { return }
        try? await group.shutdownGracefully()
    }
}

/// Why a configuration cannot be served.
package struct AdminFault: Error, Sendable, Equatable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}
