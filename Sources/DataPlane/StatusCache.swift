// SPDX-License-Identifier: Apache-2.0
//
// `ssl_ocsp_cache shared:NAME:SIZE`: what responders said, one for all workers, in memory of the form that sessions
// have.

import CShared
import SharedState
import TLSEngine

/// Plain, and only good as long as whoever gave it keeps the region mapped.
struct StatusCache {
    private let region: SessionCacheRegion

    init(_ region: SessionCacheRegion) { self.region = region }

    func status(of key: [UInt8], nowSeconds: Int64) -> CertificateStatus? {
        var byte: UInt8 = 0
        let count = unsafe cs_sessions_get(region.address, key, key.count, &byte, 1, UInt64(max(0, nowSeconds)))
        guard count == 1 else { return nil }
        return CertificateStatus(byte: byte)
    }

    /// What finds no room is asked for again.
    func put(_ status: CertificateStatus, of key: [UInt8], untilSeconds: Int64) {
        var byte = status.byte
        _ = unsafe cs_sessions_put(region.address, key, key.count, &byte, 1, UInt64(max(0, untilSeconds)))
    }
}

extension CertificateStatus {
    fileprivate var byte: UInt8 {
        switch self {
        case .good: 1
        case .revoked: 2
        case .unknown: 3
        }
    }

    fileprivate init?(byte: UInt8) {
        switch byte {
        case 1: self = .good
        case 2: self = .revoked
        case 3: self = .unknown
        default: return nil
        }
    }
}
