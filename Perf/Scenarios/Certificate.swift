// SPDX-License-Identifier: Apache-2.0
//
// The certificate that all proxies of a run have: signed by itself, ECDSA P-256, made with openssl(1).

import LinuxIO

enum Certificate {
    private static let program = "/usr/bin/openssl"

    /// Where certificate and key are, in one file; made when it is not there yet.
    static func make(in folder: String) throws -> String {
        let path = folder + "/proxy.pem"
        if Files.exists(path) { return path }
        let (certificate, key) = (folder + "/certificate.pem", folder + "/key.pem")
        let text = Program.output(
            of: program,
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256",
                "-subj", "/CN=weir-perf", "-days", "2", "-keyout", key, "-out", certificate,
            ], in: folder)
        guard Files.exists(certificate) else { throw RunFault(description: "openssl made no certificate: \(text)") }
        try Files.write(path, try Files.read(certificate) + Files.read(key), mode: 0o600)
        return path
    }
}
