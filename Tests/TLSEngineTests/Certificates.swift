// SPDX-License-Identifier: Apache-2.0
//
// Certificates for the tests, made once a run by the `openssl` program. The recipe below is all there is to them.

import Foundation
import ProxyConfig
import TestSupport

enum Certificates {
    /// Two authorities (`ca`, `other`); servers; clients that are good, expired, revoked, of the wrong purpose, of the
    /// other authority, two that try to forge an entry of the alternative names, and one of an authority below `ca`;
    /// what responders say of some of them, signed by whom it may and by whom it may not.
    private static let recipe = #"""
        set -e
        authority() { # NAME
          openssl req -x509 -newkey $ec -nodes -days 3650 -subj "/O=Weir/CN=$1" -keyout $1.key -out $1.pem
        }
        signed() { # NAME SUBJECT AUTHORITY EXTENSIONS ENDDATE KEYTYPE
          openssl req -new -utf8 -newkey ${6:-$ec} -nodes -subj "$2" -keyout $1.key -out $1.csr
          mkdir -p db-$3; touch db-$3/index.txt; [ -f db-$3/serial ] || echo 1A00 > db-$3/serial
          printf '[ca]\ndefault_ca=c\n[c]\ndatabase=db-%s/index.txt\nserial=db-%s/serial\nnew_certs_dir=db-%s\n' \
            $3 $3 $3 > $1.cnf
          printf 'unique_subject=no\ndefault_md=sha256\npolicy=p\ndefault_crl_days=3650\n' >> $1.cnf
          printf '[p]\ncommonName=supplied\norganizationName=optional\n[x]\n%b\n' "$4" >> $1.cnf
          openssl ca -batch -utf8 -config $1.cnf -extensions x -startdate 20200101000000Z \
            -enddate ${5:-20400101000000Z} -cert $3.pem -keyfile $3.key -in $1.csr -out $1.pem -notext -preserveDN
        }
        ec="ec -pkeyopt ec_paramgen_curve:P-256"
        far=20400101000000Z
        authority ca
        authority other
        signed server /CN=server.test ca 'subjectAltName=DNS:server.test,IP:127.0.0.1\nextendedKeyUsage=serverAuth'
        signed rsa /CN=server.test ca 'subjectAltName=DNS:server.test\nextendedKeyUsage=serverAuth' $far rsa:2048
        signed second /CN=second.test ca 'subjectAltName=DNS:second.test\nextendedKeyUsage=serverAuth'
        signed client '/O=Weir/CN=first/CN=Gerät 7' ca \
          'subjectAltName=DNS:a.test,IP:10.0.0.1,IP:fe80::1,URI:urn:x:1,email:me@x.test\nextendedKeyUsage=clientAuth'
        signed expired /CN=expired ca 'extendedKeyUsage=clientAuth' 20210101000000Z
        signed revoked /CN=revoked ca 'extendedKeyUsage=clientAuth'
        signed purpose /CN=purpose ca 'extendedKeyUsage=serverAuth'
        signed stranger /CN=stranger other 'extendedKeyUsage=clientAuth'
        signed comma /CN=comma ca 'subjectAltName=@s\n[s]\nURI=x\\, DNS:admin.test'
        signed zero /CN=zero ca 'subjectAltName=DER:30:07:82:05:61:00:2e:5c:62'
        signed sub '/O=Weir/CN=sub' ca 'basicConstraints=CA:TRUE'
        signed deep /CN=deep sub 'authorityInfoAccess=OCSP;URI:http://[::1]:99/x,OCSP;URI:http://second.test/'
        cat deep.pem sub.pem > deep-chain.pem
        signed responder /CN=responder ca 'extendedKeyUsage=OCSPSigning'
        openssl ca -config revoked.cnf -cert ca.pem -keyfile ca.key -revoke revoked.pem
        openssl ca -config revoked.cnf -cert ca.pem -keyfile ca.key -gencrl -out crl.pem
        openssl pkey -in server.key -aes256 -passout pass:secret -out encrypted.key
        openssl genpkey -genparam -algorithm DH -pkeyopt group:ffdhe2048 -out dh.pem
        cat server.pem server.key > both.pem
        cat server.pem ca.pem > chain.pem
        answer() { # NAME CERTIFICATE AUTHORITY SIGNER INDEX MORE
          openssl ocsp -index $5 -CA $3.pem -issuer $3.pem -cert $2.pem -rsigner $4.pem -rkey $4.key \
            -respout $1.der $6 $7
        }
        touch empty.txt
        answer good client ca responder db-ca/index.txt -ndays 7
        answer endless client ca ca db-ca/index.txt
        answer revoked revoked ca responder db-ca/index.txt -ndays 7
        answer unknown client ca responder empty.txt -ndays 7
        answer stranger client ca other db-ca/index.txt -ndays 7
        answer usurper client ca server db-ca/index.txt -ndays 7
        answer deep deep sub sub db-sub/index.txt -ndays 7
        answer server server ca server db-ca/index.txt -ndays 7
        """#

    private static let folder: URL = {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("weir-tls-\(UUID().uuidString)")
        try! FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let ending = try! ManagedProcess.runBlocking("bash", ["-c", recipe], in: folder.path)
        precondition(ending == .exited(0), "the recipe failed: see \(folder.path)")
        return folder
    }()

    private static let files: [String: [UInt8]] = {
        var files: [String: [UInt8]] = [:]
        for name in try! FileManager.default.contentsOfDirectory(atPath: folder.path) {
            if let data = try? Data(contentsOf: folder.appendingPathComponent(name)) { files[name] = Array(data) }
        }
        try? FileManager.default.removeItem(at: folder)
        return files
    }()

    static func file(_ name: String) -> TLSFile { TLSFile(path: "/etc/weir/\(name)", bytes: files[name]!) }

    static func pair(_ name: String) -> TLSCertificate {
        TLSCertificate(chain: file("\(name).pem"), key: file("\(name).key"))
    }
}

extension TLSServerSettings {
    /// A server with these certificates.
    static func with(_ names: String..., change: (inout TLSServerSettings) -> Void = { _ in }) -> TLSServerSettings {
        var settings = TLSServerSettings()
        settings.common.certificates = names.map { Certificates.pair($0) }
        change(&settings)
        return settings
    }

    /// One that wants a client certificate of `ca`.
    static func mutual(
        _ verification: ClientVerification = .on, change: (inout TLSServerSettings) -> Void = { _ in }
    ) -> TLSServerSettings {
        with("server") { settings in
            settings.clientVerification = verification
            settings.clientCertificates = Certificates.file("ca.pem")
            change(&settings)
        }
    }
}

extension TLSClientSettings {
    static func with(
        certificate: String? = nil, change: (inout TLSClientSettings) -> Void = { _ in }
    ) -> TLSClientSettings {
        var settings = TLSClientSettings()
        if let certificate { settings.common.certificates = [Certificates.pair(certificate)] }
        change(&settings)
        return settings
    }

    /// One that verifies the server against `ca`.
    static func verifying(change: (inout TLSClientSettings) -> Void = { _ in }) -> TLSClientSettings {
        with { settings in
            settings.verifies = true
            settings.sendsServerName = true
            settings.common.trustedCertificates = Certificates.file("ca.pem")
            change(&settings)
        }
    }
}
