// SPDX-License-Identifier: Apache-2.0
//
// Whether the TLS of a configuration builds: every distinct context is made once and thrown away, so that a broken
// certificate or a key of another refuses a start, a test or a reload, and no worker ever meets it. What was proved for
// the generation in use is not proved again. A fault names the file and OpenSSL's reason, and nothing of a key.

import ProxyConfig
import TLSEngine

struct TLSProof {
    /// Settings of which a context was made.
    private var servers: Set<Shared<TLSServerSettings>> = []
    private var clients: Set<Shared<TLSClientSettings>> = []
    /// What does not build, each with the place of the first server block that wants it.
    private(set) var faults: [String] = []

    /// `pause` is called between contexts.
    init(_ configuration: Configuration, known: TLSProof?, pause: () -> Void = {}) {
        // Blocks that inherit share one object, which is met before its bytes are looked at.
        var seen: Set<ObjectIdentifier> = []
        let addresses = (configuration.admin?.servers ?? []).map { ($0.origin, $0.tls) }
        for (origin, settings) in configuration.servers.map({ ($0.origin, $0.tls) }) + addresses {
            pause()
            guard let settings, seen.insert(ObjectIdentifier(settings)).inserted,
                servers.insert(settings).inserted, known?.servers.contains(settings) != true
            else { continue }
            prove(origin) { () throws(TLSFault) in
                _ = try TLSServerContext(settings.value, tickets: nil, cache: nil)
            }
        }
        for server in configuration.servers {
            pause()
            for settings in [server.proxyTLS] + server.healthChecks.map(\.tls) {
                guard let settings, seen.insert(ObjectIdentifier(settings)).inserted,
                    clients.insert(settings).inserted, known?.clients.contains(settings) != true
                else { continue }
                prove(server.origin) { () throws(TLSFault) in _ = try TLSClientContext(settings.value) }
            }
        }
    }

    private mutating func prove(_ origin: String, _ build: () throws(TLSFault) -> Void) {
        do throws(TLSFault) { try build() } catch {
            let file = error.file.map { error.message.contains($0) ? "" : " (\"\($0)\")" } ?? ""
            faults.append("\(error.message)\(file), for the server in \(origin)")
        }
    }
}
