// SPDX-License-Identifier: Apache-2.0
//
// What a configuration wants stapled: each certificate once, and where its responder is. The master makes one to warn
// of what will not be stapled and to have the names of responders resolved into the bundle; the prober makes the same
// one out of the bundle and asks.

import ProxyConfig
import TLSEngine
import TLSWire
import Vocabulary

/// A certificate, and whom to ask about it.
struct StapleTarget {
    let certificate: StapledCertificate
    let responder: ResponderURL
    /// Tried in this order; at least one.
    let endpoints: [IPEndpoint]

    var key: [UInt8] { certificate.key }
}

package struct StaplePlan {
    private enum Finding {
        case certificate(StapledCertificate)
        case ignored(StapleFault)
    }

    private(set) var targets: [StapleTarget] = []
    /// nginx's words for each certificate that is not stapled.
    package private(set) var warnings: [String] = []
    /// The certificates of all settings that are wanted stapled, for the plan after this one.
    private var findings: [Shared<TLSServerSettings>: [Finding]] = [:]

    package init() {}

    /// What `former` knows of equal settings is not found out again, but names are resolved anew. `pause` is called
    /// between certificates.
    package init(
        _ configuration: Configuration, from source: inout some ConfigurationSource, former: StaplePlan? = nil,
        pause: () -> Void = {}
    ) {
        // Blocks that inherit share one object, which is met before its bytes are looked at.
        var seen: Set<ObjectIdentifier> = []
        var keys: Set<[UInt8]> = []
        var addresses: [String: Result<[IPAddress], SourceFault>] = [:]
        for server in configuration.servers {
            guard let settings = server.tls, settings.value.fetchesStaples,
                seen.insert(ObjectIdentifier(settings)).inserted, findings[settings] == nil
            else { continue }
            let found = former?.findings[settings] ?? StaplePlan.find(settings.value, pause)
            findings[settings] = found
            for finding in found {
                switch finding {
                case .certificate(let certificate):
                    guard keys.insert(certificate.key).inserted else { continue }
                    add(certificate) { host in
                        let answer = addresses[host] ?? source.addresses(of: host)
                        addresses[host] = answer
                        return answer
                    }
                case .ignored(.noChain(let words)): warn(words)
                // Whoever proves the context says so.
                case .ignored(.noContext): break
                }
            }
        }
    }

    private static func find(_ settings: TLSServerSettings, _ pause: () -> Void) -> [Finding] {
        settings.common.certificates.indices.map { index in
            pause()
            do throws(StapleFault) {
                return .certificate(try StapledCertificate(settings, certificate: index))
            } catch {
                return .ignored(error)
            }
        }
    }

    private mutating func add(
        _ certificate: StapledCertificate, _ addresses: (String) -> Result<[IPAddress], SourceFault>
    ) {
        guard let text = certificate.responder else {
            return warn("no OCSP responder URL in the certificate \"\(certificate.name)\"")
        }
        let url = String(decoding: text, as: UTF8.self)
        let place = "in the certificate \"\(certificate.name)\""
        let responder: ResponderURL
        do throws(ResponderURLFault) { responder = try ResponderURL(text) } catch {
            return warn("\(error.words) in OCSP responder \"\(url)\" \(place)")
        }
        let host = String(decoding: responder.address, as: UTF8.self)
        var found: [IPAddress] = []
        if let address = IPAddress(text: host) {
            found = [address]
        } else if case .success(let answer) = addresses(host) {
            found = answer
        }
        guard !found.isEmpty else { return warn("host not found in OCSP responder \"\(url)\" \(place)") }
        targets.append(
            StapleTarget(
                certificate: certificate, responder: responder,
                endpoints: found.map { IPEndpoint(address: $0, port: responder.port) }))
    }

    private mutating func warn(_ words: String) {
        let text = "\"ssl_stapling\" ignored, \(words)"
        if !warnings.contains(text) { warnings.append(text) }
    }
}
