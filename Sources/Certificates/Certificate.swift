// SPDX-License-Identifier: Apache-2.0
//
// A certificate with its key, made in memory: an authority's, or a server's or a client's that an authority issues. For
// the demo and for tests, whose certificates live for as long as they do; nothing here writes a file.

import CCertificates

@safe package final class Certificate {
    package enum Kind: Int32, Sendable {
        case authority = 0
        case server = 1
        case client = 2
    }

    private let pair: OpaquePointer
    private static let pemBytesMax = 8 * 1024

    /// An EC key on P-256, and a certificate that `issuer` signs, or the key itself. `names` are what a server may be
    /// called, as OpenSSL writes them: "DNS:localhost,IP:127.0.0.1". Nil: no memory, or OpenSSL cannot read `names`.
    package init?(
        _ kind: Kind, commonName: String, names: String? = nil, days: Int32 = 30, issuer: Certificate? = nil
    ) {
        let issuerPair = unsafe issuer?.pair
        let made =
            if let names {
                unsafe ccert_make(kind.rawValue, commonName, names, days, issuerPair)
            } else {
                unsafe ccert_make(kind.rawValue, commonName, nil, days, issuerPair)
            }
        guard let made = unsafe made else { return nil }
        unsafe pair = unsafe made
    }

    deinit { unsafe ccert_free(pair) }

    /// In PEM.
    package var bytes: [UInt8] { unsafe Self.written { unsafe ccert_write_certificate(pair, $0, $1) } }

    /// In PEM, not encrypted.
    package var keyBytes: [UInt8] { unsafe Self.written { unsafe ccert_write_key(pair, $0, $1) } }

    private static func written(_ write: (UnsafeMutableRawPointer?, Int) -> Int) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: pemBytesMax) { buffer, count in
            count = unsafe min(write(UnsafeMutableRawPointer(buffer.baseAddress), buffer.count), pemBytesMax)
        }
    }
}
