// SPDX-License-Identifier: Apache-2.0
//
// What TLS of all server blocks together shares between processes. Master and workers ask the same configuration, so
// that an index means the same to both.

/// `ssl_session_cache shared:NAME:SIZE`, or `ssl_ocsp_cache` of the same form.
package struct SharedSessionCache: Sendable, Hashable {
    package var name: String
    package var byteCount: Int
    package init(name: String, byteCount: Int) {
        self.name = name
        self.byteCount = byteCount
    }
}

extension Configuration {
    /// Each name once, in the order of the blocks.
    package var sharedSessionCaches: [SharedSessionCache] {
        var caches: [SharedSessionCache] = []
        for server in servers {
            guard let tls = server.tls?.value else { continue }
            if tls.sessionCache.kind == .kept, let name = tls.sessionCache.sharedName {
                add(name, tls.sessionCache.sharedBytes)
            }
            if tls.clientOCSP != .off, let cache = tls.clientOCSPCache { add(cache.sharedName, cache.sharedBytes) }
        }
        return caches

        // A name is of one kind, which the reader of the configuration has seen to.
        func add(_ name: String, _ byteCount: Int) {
            guard !caches.contains(where: { $0.name == name }) else { return }
            caches.append(SharedSessionCache(name: name, byteCount: byteCount))
        }
    }

    /// How long an automatic ticket key is the current one: the longest life of a session among the servers that use
    /// it, and 5 minutes at least. Nil: no server does.
    package var ticketKeyLifetimeSeconds: Int? {
        let timeouts = servers.compactMap { server -> Int? in
            guard let tls = server.tls?.value, tls.usesTickets, tls.ticketKeys.isEmpty else { return nil }
            return tls.sessionTimeoutSeconds
        }
        return timeouts.max().map { max($0, 300) }
    }
}
