// SPDX-License-Identifier: Apache-2.0
//
// Certificates for tests, made once a run by `openssl req`: a broker's, which signs itself, and another one's.

import Foundation
import LinuxIO
import ProxyConfig
import TLSEngine
import TestSupport

struct TLSFiles {
    var certificate: TLSFile
    var key: TLSFile

    static let broker = make("broker.test")
    static let stranger = make("stranger.test")

    /// What answers with this certificate.
    func context() throws(TLSFault) -> TLSServerContext {
        var settings = TLSServerSettings()
        settings.common.certificates = [TLSCertificate(chain: certificate, key: key)]
        return try TLSServerContext(settings, tickets: nil, cache: nil)
    }

    private static func make(_ name: String) -> TLSFiles {
        do {
            let folder = try Files.makeTemporaryDirectory(prefix: "/tmp/weir-tls-")
            let arguments = [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=\(name)", "-addext", "subjectAltName=DNS:\(name)", "-keyout", "key.pem", "-out", "cert.pem",
            ]
            let ending = try ManagedProcess.runBlocking("openssl", arguments, in: folder)
            guard ending == .exited(0) else { fatalError("openssl req: \(ending)") }
            let certificate = TLSFile(path: "/\(name).pem", bytes: try Files.read(folder + "/cert.pem"))
            let key = TLSFile(path: "/\(name).key", bytes: try Files.read(folder + "/key.pem"))
            for file in ["cert.pem", "key.pem"] { try Files.remove("\(folder)/\(file)") }
            try Files.removeDirectory(folder)
            return TLSFiles(certificate: certificate, key: key)
        } catch {
            fatalError("openssl req failed: \(error)")
        }
    }
}
