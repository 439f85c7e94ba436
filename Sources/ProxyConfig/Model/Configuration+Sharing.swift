// SPDX-License-Identifier: Apache-2.0
//
// What TLS of all server blocks together shares between processes. Master and workers ask the same configuration, so
// that an index means the same to both.

/// `ssl_session_cache shared:NAME:SIZE`.
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
            guard let cache = server.tls?.value.sessionCache, cache.kind == .kept, let name = cache.sharedName,
                !caches.contains(where: { $0.name == name })
            else { continue }
            caches.append(SharedSessionCache(name: name, byteCount: cache.sharedBytes))
        }
        return caches
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
