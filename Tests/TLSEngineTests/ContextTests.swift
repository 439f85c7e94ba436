// SPDX-License-Identifier: Apache-2.0
//
// What no context is made of, and how the fault names it.

import ProxyConfig
import TLSEngine
import Testing

@Suite("contexts")
struct ContextTests {
    static func fault(_ settings: TLSServerSettings) -> TLSFault? {
        do throws(TLSFault) {
            _ = try TLSServerContext(settings, tickets: nil, cache: nil)
            return nil
        } catch {
            return error
        }
    }

    static func with(_ chain: String, _ key: String, passphrases: [String] = []) -> TLSServerSettings {
        .with {
            $0.common.certificates = [TLSCertificate(chain: Certificates.file(chain), key: Certificates.file(key))]
            $0.common.passphrases = passphrases.map { Array($0.utf8) }
        }
    }

    @Test("a key of another certificate is named with its file")
    func mismatch() {
        let fault = Self.fault(Self.with("server.pem", "second.key"))
        #expect(fault?.file == "/etc/weir/second.key")
        #expect(
            fault?.message == "SSL_CTX_use_PrivateKey(\"/etc/weir/second.key\") failed "
                + "(SSL: error:05800074:x509 certificate routines::key values mismatch)")
        // OpenSSL itself would take a key of another kind.
        for settings in [Self.with("server.pem", "rsa.key"), Self.with("rsa.pem", "server.key")] {
            let fault = Self.fault(settings)
            #expect(fault?.message.contains("SSL_CTX_use_PrivateKey(") == true)
            #expect(fault?.message.contains("x509 certificate routines::key type mismatch") == true)
        }
    }

    @Test("files that are none are named")
    func garbage() {
        for (chain, key, words, file) in [
            (
                "server.key", "server.key",
                "cannot load certificate \"/etc/weir/server.key\": PEM_read_bio_X509_AUX() failed (SSL: ", "server.key"
            ),
            (
                "server.pem", "ca.pem",
                "cannot load certificate key \"/etc/weir/ca.pem\": PEM_read_bio_PrivateKey() failed (SSL: ", "ca.pem"
            ),
        ] {
            let fault = Self.fault(Self.with(chain, key))
            #expect(fault?.message.hasPrefix(words) == true, "\(fault as Any)")
            #expect(fault?.file == "/etc/weir/\(file)")
        }
        var settings = TLSServerSettings.mutual { $0.clientCertificates = Certificates.file("server.key") }
        #expect(Self.fault(settings)?.file == "/etc/weir/server.key")
        settings = .mutual { $0.common.revocations = Certificates.file("ca.pem") }
        #expect(Self.fault(settings)?.message.hasPrefix("cannot load CRL \"/etc/weir/ca.pem\"") == true)
        settings = .with("server") { $0.dhParameters = Certificates.file("ca.pem") }
        #expect(Self.fault(settings)?.file == "/etc/weir/ca.pem")
        settings = .with("server") { settings in
            settings.isStapling = true
            settings.staplingFile = Certificates.file("ca.pem")
        }
        #expect(Self.fault(settings)?.file == "/etc/weir/ca.pem")
    }

    @Test("a key that is cut anywhere is refused and its bytes are in no fault")
    func cutKey() {
        let whole = Certificates.file("server.key")
        for count in stride(from: 0, to: whole.bytes.count - 1, by: 7) {
            let key = TLSFile(path: "/k", bytes: Array(whole.bytes.prefix(count)))
            let fault = Self.fault(
                .with { $0.common.certificates = [TLSCertificate(chain: Certificates.file("server.pem"), key: key)] })
            #expect(fault?.file == "/k", "\(count)")
        }
    }

    @Test("one file may hold certificate and key, and one of several passphrases opens an encrypted key")
    func goodKeys() {
        #expect(Self.fault(Self.with("both.pem", "both.pem")) == nil)
        #expect(Self.fault(Self.with("chain.pem", "server.key")) == nil)
        #expect(Self.fault(Self.with("server.pem", "encrypted.key", passphrases: ["no", "secret", "x"])) == nil)
        #expect(Self.fault(Self.with("server.pem", "server.key", passphrases: ["no"])) == nil)
        for passphrases in [[], ["no"], ["no", "neither", ""]] {
            let fault = Self.fault(Self.with("server.pem", "encrypted.key", passphrases: passphrases))
            #expect(fault?.file == "/etc/weir/encrypted.key")
            #expect(fault?.message.contains("secret") == false)
        }
    }

    @Test("what OpenSSL does not know is in the fault")
    func settings() {
        #expect(
            Self.fault(.with("server") { $0.common.ciphers = "NOSUCH" })?.message
                == "SSL_CTX_set_cipher_list(\"NOSUCH\") failed (SSL: error:0A0000B9:SSL routines::no cipher match)")
        #expect(
            Self.fault(.with("server") { $0.curves = "nosuch" })?.message.hasPrefix(
                "SSL_CTX_set1_curves_list(\"nosuch\") failed") == true)
        for (name, value, words) in [
            ("NoSuch", "x", "SSL_CONF_cmd(\"NoSuch\", \"x\") failed (SSL: "),
            ("Options", "NoSuch", "SSL_CONF_cmd(\"Options\", \"NoSuch\") failed (SSL: "),
            ("Certificate", "/x", "SSL_CONF_cmd(\"Certificate\", \"/x\") failed: it reads files"),
        ] {
            let fault = Self.fault(.with("server") { $0.common.commands = [TLSCommand(name: name, value: value)] })
            #expect(fault?.message.hasPrefix(words) == true, "\(fault as Any)")
        }
        #expect(Self.fault(.with("server") { $0.common.alpn = [""] }) != nil)
    }

    @Test("commands, curves and DH parameters take effect")
    func effects() throws {
        let commands = [
            TLSCommand(name: "Ciphersuites", value: "TLS_CHACHA20_POLY1305_SHA256"),
            TLSCommand(name: "Options", value: "-SessionTicket"),
        ]
        try withLink(.with(), .with("server") { $0.common.commands = commands }) { link in
            link.handshake()
            #expect(link.server.value(.tlsCipher) == "TLS_CHACHA20_POLY1305_SHA256")
        }
        try withLink(.with(), .with("server") { $0.curves = "secp384r1" }) { link in
            link.handshake()
            #expect(link.server.value(.tlsCurve) == "secp384r1")
        }
        let server = TLSServerSettings.with("rsa") { settings in
            settings.common.protocols = .tls12
            settings.common.ciphers = "DHE-RSA-AES128-GCM-SHA256"
            settings.dhParameters = Certificates.file("dh.pem")
        }
        try withLink(.with(), server) { link in
            link.handshake()
            #expect(link.server.value(.tlsCipher) == "DHE-RSA-AES128-GCM-SHA256")
        }
        for (prefers, cipher) in [(true, "ECDHE-ECDSA-AES256-GCM-SHA384"), (false, "ECDHE-ECDSA-AES128-GCM-SHA256")] {
            let server = TLSServerSettings.with("server") { settings in
                settings.common.protocols = .tls12
                settings.common.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"
                settings.prefersServerCiphers = prefers
            }
            let client = TLSClientSettings.with {
                $0.common.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
            }
            try withLink(client, server) { link in
                link.handshake()
                #expect(link.server.value(.tlsCipher) == cipher)
            }
        }
    }
}
