// SPDX-License-Identifier: Apache-2.0
//
// The demo's certificates, made anew for each run: an authority, Weir's own for loopback, and the back office's. Weir
// and people's tools read the files; the demo's own clients use what is in memory. The authority's key is never
// written, so that nothing can be issued once the demo has ended.

import Certificates
import LinuxIO
import MQTTClient
import ProxyConfig
import TLSEngine
import Vocabulary

struct DemoCertificates {
    /// Of the back office: what Weir's access log shows as `$ssl_client_cn`.
    static let officeName = "back-office"
    static let days: Int32 = 7

    /// In the demo's folder, so that commands in it are short.
    enum Name {
        static let authority = "ca.pem"
        static let server = "server.pem"
        static let serverKey = "server.key"
        static let office = "back-office.pem"
        static let officeKey = "back-office.key"
    }

    let folder: String
    private let authority: Certificate
    private let office: Certificate

    /// Writes the files; keys are for this user alone.
    init(folder: String) throws(Errno) {
        guard
            let authority = Certificate(.authority, commonName: "Weir demo authority", days: Self.days),
            let server = Certificate(
                .server, commonName: "localhost", names: "DNS:localhost,IP:127.0.0.1", days: Self.days,
                issuer: authority),
            let office = Certificate(.client, commonName: Self.officeName, days: Self.days, issuer: authority)
        else { throw Errno.outOfMemory }
        self.folder = folder
        self.authority = authority
        self.office = office
        try Files.write(path(Name.authority), authority.bytes)
        try Files.write(path(Name.server), server.bytes)
        try Files.write(path(Name.serverKey), server.keyBytes, mode: 0o600)
        try Files.write(path(Name.office), office.bytes)
        try Files.write(path(Name.officeKey), office.keyBytes, mode: 0o600)
    }

    func path(_ name: String) -> String { folder + "/" + name }

    /// For a client that trusts the demo's authority and shows the back office's certificate, or none.
    func security(hasCertificate: Bool) throws(TLSFault) -> DeviceSecurity {
        var settings = TLSClientSettings()
        settings.verifies = true
        settings.common.trustedCertificates = TLSFile(path: path(Name.authority), bytes: authority.bytes)
        if hasCertificate {
            settings.common.certificates = [
                TLSCertificate(
                    chain: TLSFile(path: path(Name.office), bytes: office.bytes),
                    key: TLSFile(path: path(Name.officeKey), bytes: office.keyBytes))
            ]
        }
        return DeviceSecurity(try TLSClientContext(settings), serverName: DemoPorts.ipv4.text)
    }
}
