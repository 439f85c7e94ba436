// SPDX-License-Identifier: Apache-2.0
//
// Handshakes, in nginx's words. Before version 8 there were three of them.

import SharedState

struct TLSFigures: Encodable {
    struct VerifyFailures: Encodable {
        /// Only of clients.
        var no_cert: UInt64?
        var expired_cert: UInt64
        var revoked_cert: UInt64
        /// Only of servers.
        var hostname_mismatch: UInt64?
        var other: UInt64
    }
    var handshakes: UInt64
    var handshakes_failed: UInt64
    var session_reuses: UInt64
    var no_common_protocol: UInt64?
    var no_common_cipher: UInt64?
    var handshake_timeout: UInt64?
    var peer_rejected_cert: UInt64?
    var verify_failures: VerifyFailures?

    /// `isServer`: towards clients.
    init(_ report: TLSReport, since baseline: TLSReport?, isServer: Bool, version: Int = 9) {
        handshakes = AdminPlane.since(baseline?.handshakes, report.handshakes)
        handshakes_failed = AdminPlane.since(baseline?.failed, report.failed)
        session_reuses = AdminPlane.since(baseline?.reuses, report.reuses)
        guard version >= 8 else { return }
        no_common_protocol = AdminPlane.since(baseline?.noCommonProtocol, report.noCommonProtocol)
        if isServer { no_common_cipher = AdminPlane.since(baseline?.noCommonCipher, report.noCommonCipher) }
        handshake_timeout = AdminPlane.since(baseline?.timeouts, report.timeouts)
        peer_rejected_cert = AdminPlane.since(baseline?.peerRejectedCertificate, report.peerRejectedCertificate)
        verify_failures = VerifyFailures(
            no_cert: isServer ? AdminPlane.since(baseline?.noCertificate, report.noCertificate) : nil,
            expired_cert: AdminPlane.since(baseline?.expired, report.expired),
            revoked_cert: AdminPlane.since(baseline?.revoked, report.revoked),
            hostname_mismatch: isServer ? nil : AdminPlane.since(baseline?.hostnameMismatch, report.hostnameMismatch),
            other: AdminPlane.since(baseline?.otherVerifyFailures, report.otherVerifyFailures))
    }

    static func ifAny(_ report: TLSReport, since baseline: TLSReport?, isServer: Bool, version: Int) -> TLSFigures? {
        guard version >= 8, report != TLSReport() else { return nil }
        return TLSFigures(report, since: baseline, isServer: isServer)
    }
}
