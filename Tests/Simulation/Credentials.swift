// SPDX-License-Identifier: Apache-2.0
//
// The certificates of simulated machines, and the files that configurations name them by. Made once a run, from a seed
// of their own.

import CTestTLS
import Certificates

struct Credentials {
    /// Names that servers are chosen by.
    static let names = ["a.test", "b.test", "c.test"]
    static let brokerName = "broker.test"

    static let shared = Credentials()

    let files: [String: [UInt8]]
    /// What an OCSP responder may say of `device`, in the order of OpenSSL's numbers: good, revoked, unknown.
    let statusAnswers: [[UInt8]]

    private init() {
        ctt_seed(1)
        var files: [String: [UInt8]] = [:]
        func add(_ certificate: Certificate?, _ name: String) -> Certificate {
            guard let certificate else { preconditionFailure("no certificate for \(name)") }
            files["\(name).pem"] = certificate.bytes
            files["\(name).key"] = certificate.keyBytes
            return certificate
        }
        let authority = add(Certificate(.authority, commonName: "authority"), "ca")
        let other = add(Certificate(.authority, commonName: "other"), "other")
        // Each twice, so that a reload can bring another one.
        for name in ["default.test"] + Credentials.names {
            for edition in ["1", "2"] {
                let certificate = Certificate(.server, commonName: name, names: "DNS:\(name)", issuer: authority)
                _ = add(certificate, "\(name)-\(edition)")
            }
        }
        let brokerNames = "DNS:\(Credentials.brokerName)"
        _ = add(
            Certificate(.server, commonName: Credentials.brokerName, names: brokerNames, issuer: authority), "broker")
        _ = add(
            Certificate(.server, commonName: Credentials.brokerName, names: brokerNames, issuer: other), "impostor")
        _ = add(Certificate(.client, commonName: "device", issuer: authority), "device")
        _ = add(Certificate(.client, commonName: "stranger", issuer: other), "stranger")
        _ = add(Certificate(.client, commonName: "weir", issuer: authority), "weir")
        self.files = files
        statusAnswers = (0...2).map { status in
            func text(_ name: String) -> [CChar] { (files[name] ?? []).map { CChar(bitPattern: $0) } + [0] }
            let (from, until) = (Int64(World.wallStart / 1000) - 3600, Int64(World.wallStart / 1000) + 365 * 86_400)
            return unsafe [UInt8](unsafeUninitializedCapacity: 2048) { buffer, count in
                count = unsafe ctt_status_answer(
                    text("ca.pem"), text("ca.key"), text("device.pem"), Int32(status), from, until, buffer.baseAddress,
                    buffer.count)
                precondition(count > 0, "OpenSSL makes no OCSP response of the simulation's")
            }
        }
    }

    func context(isServer: Bool, version: Int32, _ name: String?) -> TLSPeerContext {
        guard let name else { return TLSPeerContext(isServer: isServer, version: version) }
        return TLSPeerContext(
            isServer: isServer, version: version, chain: files["\(name).pem"], key: files["\(name).key"])
    }
}
