// SPDX-License-Identifier: Apache-2.0
//
// The TLS contexts of a generation: one for each distinct settings, however many server blocks share them. Where the
// former generation had the same bytes, its context goes on, and with it the sessions that clients may resume.

import CShared
import LinuxIO
import ProxyConfig
import SharedState
import TLSEngine

struct TLSContexts {
    let sharing: TLSSharing
    private var servers: [(settings: Shared<TLSServerSettings>, context: TLSServerContext)] = []
    private var clients: [(settings: Shared<TLSClientSettings>, context: TLSClientContext)] = []
    /// Blocks that inherit share one object, so that most lookups compare no bytes.
    private var indexByObject: [ObjectIdentifier: Int] = [:]

    init(sharing: TLSSharing) { self.sharing = sharing }

    func server(_ settings: Shared<TLSServerSettings>?) -> TLSServerContext? {
        settings.flatMap { indexByObject[ObjectIdentifier($0)] }.map { servers[$0].context }
    }

    func client(_ settings: Shared<TLSClientSettings>?) -> TLSClientContext? {
        settings.flatMap { indexByObject[ObjectIdentifier($0)] }.map { clients[$0].context }
    }

    /// Makes what a server block needs and is not there yet.
    mutating func add(_ server: Server, former: TLSContexts) throws(TLSFault) {
        if let settings = server.tls, indexByObject[ObjectIdentifier(settings)] == nil {
            if let index = servers.firstIndex(where: { $0.settings == settings }) {
                indexByObject[ObjectIdentifier(settings)] = index
            } else {
                let known = former.servers.first { $0.settings == settings }?.context
                let context = if let known { known } else { try sharing.makeContext(settings.value) }
                indexByObject[ObjectIdentifier(settings)] = servers.count
                servers.append((settings, context))
            }
        }
        if let settings = server.proxyTLS, indexByObject[ObjectIdentifier(settings)] == nil {
            if let index = clients.firstIndex(where: { $0.settings == settings }) {
                indexByObject[ObjectIdentifier(settings)] = index
            } else {
                let known = former.clients.first { $0.settings == settings }?.context
                let context = if let known { known } else { try TLSClientContext(settings.value) }
                indexByObject[ObjectIdentifier(settings)] = clients.count
                clients.append((settings, context))
            }
        }
    }
}

/// What all workers share, as the contexts of one generation are wired to it. Settings hold it, so that the memory of a
/// session cache stays mapped as long as a connection may still forget its session there.
final class TLSSharing {
    /// Nil: each context makes its own keys, as in a test.
    private let tickets: TicketKeySource?
    /// Nil: nothing is fetched for them.
    private let staples: StapleSource?
    /// Where the configuration stands, which relative paths in variables are meant from.
    private let options: ConfigurationOptions?
    private var regions: [String: SessionCacheRegion] = [:]

    init(tickets: TicketKeySource?, staples: StapleSource?, options: ConfigurationOptions?) {
        self.tickets = tickets
        self.staples = staples
        self.options = options
    }

    func path(_ text: String) -> String { options?.pathBesideFile(text) ?? text }

    /// Maps what the master sent for a cache, or goes on with the former generation's mapping of the same memory.
    func attach(_ name: String, _ descriptor: Int32, former: TLSSharing) throws(Errno) {
        regions[name] = try SessionCacheRegion.attach(descriptor, known: former.regions.values)
    }

    /// Nil: each question is asked.
    func statusCache(_ settings: TLSServerSettings) -> StatusCache? {
        settings.clientOCSPCache.flatMap { regions[$0.sharedName] }.map(StatusCache.init)
    }

    func makeContext(_ settings: TLSServerSettings) throws(TLSFault) -> TLSServerContext {
        let region = settings.sessionCache.sharedName.flatMap { regions[$0] }
        return try TLSServerContext(
            settings, tickets: tickets, cache: region.map(SessionCacheHandle.init), staples: staples)
    }
}

extension SessionCacheHandle {
    fileprivate init(_ region: SessionCacheRegion) {
        unsafe self.init(
            cache: region.address, put: cs_sessions_put, get: cs_sessions_get, remove: cs_sessions_remove)
    }
}

extension TicketKeySource {
    init(_ region: TicketKeyRegion) {
        unsafe self.init(region: region.address, current: cs_tickets_current, find: cs_tickets_find)
    }
}

extension StapleSource {
    init(_ region: StapleRegion) { unsafe self.init(region: region.address, get: cs_staples_get) }
}
