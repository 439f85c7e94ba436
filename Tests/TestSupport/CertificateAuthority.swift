// SPDX-License-Identifier: Apache-2.0
//
// A certificate authority of a test: keys, certificates and lists of revoked ones as files in PEM, by the `openssl`
// program, whose own database says what was issued and what was revoked. One call at a time.

package final class CertificateAuthority: Sendable {
    /// Two files.
    package struct Pair: Sendable {
        package let certificate: String
        package let key: String

        package init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }

    package enum Key: String, Sendable {
        case ec = "ec -pkeyopt ec_paramgen_curve:P-256"
        case rsa = "rsa:2048"
    }

    /// What a certificate may be used for, as OpenSSL words its extensions.
    package enum Purpose: String, Sendable {
        case server = "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth"
        case client = "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth"
        case authority = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign"
    }

    /// First and last second, as OpenSSL words them.
    package enum Validity: String, Sendable {
        case present = "-startdate 20200101000000Z -enddate 20400101000000Z"
        case expired = "-startdate 20200101000000Z -enddate 20210101000000Z"
        case future = "-startdate 20390101000000Z -enddate 20400101000000Z"
    }

    package let name: String
    package let directory: TemporaryDirectory
    package var pair: Pair { files(name) }
    /// Its own certificate.
    package var path: String { pair.certificate }
    /// Where `writeList` writes.
    package var listPath: String { directory.path("\(name).crl") }

    /// One that signs itself, or one below `issuer`: NAME.pem and NAME.key in the folder.
    package init(
        _ name: String, in directory: TemporaryDirectory, below issuer: CertificateAuthority? = nil
    ) async throws {
        self.name = name
        self.directory = directory
        let subject = "/O=Weir/CN=\(name)"
        if let issuer {
            try await issuer.issue(name, subject: subject, for: .authority)
        } else {
            try await run(
                """
                openssl req -x509 -newkey \(Key.ec.rawValue) -noenc -days 3650 -subj "\(subject)" \
                    -keyout \(name).key -out \(name).pem
                """)
        }
        try await run(
            """
            mkdir \(name).db; touch \(name).db/index.txt; echo 01 > \(name).db/crlnumber
            cat > \(name).cnf <<END
            [ca]
            default_ca = authority
            [authority]
            database = \(name).db/index.txt
            new_certs_dir = \(name).db
            rand_serial = yes
            crlnumber = \(name).db/crlnumber
            certificate = \(name).pem
            private_key = \(name).key
            unique_subject = no
            default_md = sha256
            default_crl_days = 3650
            policy = any
            [any]
            commonName = optional
            organizationName = optional
            END
            """)
    }

    /// NAME.pem and NAME.key. `names` are alternative ones in OpenSSL's words, "DNS:a.test,IP:127.0.0.1"; `extensions`
    /// are further lines of its configuration.
    @discardableResult
    package func issue(
        _ file: String, subject: String, names: String? = nil, for purpose: Purpose, key: Key = .ec,
        validity: Validity = .present, extensions: String = ""
    ) async throws -> Pair {
        try await run(
            """
            openssl req -new -utf8 -newkey \(key.rawValue) -noenc -subj "\(subject)" \
                -keyout \(file).key -out \(file).csr
            cat > \(file).cnf <<END
            [extensions]
            \(purpose.rawValue)
            subjectKeyIdentifier = hash
            authorityKeyIdentifier = keyid
            \(names.map { "subjectAltName = \($0)" } ?? "")
            \(extensions)
            END
            openssl ca -batch -utf8 -notext -preserveDN -config \(name).cnf \(validity.rawValue) \
                -extfile \(file).cnf -extensions extensions -in \(file).csr -out \(file).pem
            rm \(file).csr \(file).cnf
            """)
        return files(file)
    }

    package func revoke(_ pair: Pair) async throws {
        try await run("openssl ca -config \(name).cnf -revoke \(pair.certificate)")
    }

    /// Writes the list of what is revoked now.
    @discardableResult
    package func writeList() async throws -> String {
        try await run("openssl ca -config \(name).cnf -gencrl -out \(name).crl")
        return listPath
    }

    /// The key of a pair again, in another file, which only the passphrase opens.
    package func encrypt(_ pair: Pair, to file: String, passphrase: String) async throws -> Pair {
        try await run("openssl pkey -in \(pair.key) -aes256 -passout 'pass:\(passphrase)' -out \(file).key")
        return Pair(certificate: pair.certificate, key: directory.path("\(file).key"))
    }

    /// Concatenates certificates: a chain, or a bundle of authorities.
    package func join(_ paths: [String], to file: String) async throws -> String {
        try await run("cat \(paths.joined(separator: " ")) > \(file)")
        return directory.path(file)
    }

    private func files(_ name: String) -> Pair {
        Pair(certificate: directory.path("\(name).pem"), key: directory.path("\(name).key"))
    }

    private func run(_ script: String) async throws {
        let words = ["-ec", "cd \(directory.path)\n\(script)"]
        let (ending, output) = try await ManagedProcess.run("bash", words)
        guard ending == .exited(0) else { throw TestFault("\(script)\n\(output)") }
    }
}
