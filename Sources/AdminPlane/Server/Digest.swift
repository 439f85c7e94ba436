// SPDX-License-Identifier: Apache-2.0
//
// Digests of bytes, by OpenSSL.

import CPasswords

enum Digest {
    static func md5(_ bytes: some Sequence<UInt8>) -> [UInt8] { digest("MD5", Array(bytes)) }
    static func sha1(_ bytes: some Sequence<UInt8>) -> [UInt8] { digest("SHA1", Array(bytes)) }
    static func sha256(_ bytes: some Sequence<UInt8>) -> [UInt8] { digest("SHA256", Array(bytes)) }

    /// Empty: OpenSSL does not have it (MD5 where only FIPS methods are allowed).
    private static func digest(_ name: String, _ bytes: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: CP_DIGEST_BYTES_MAX)
        let count = unsafe bytes.withUnsafeBytes { source in
            unsafe out.withUnsafeMutableBufferPointer { target -> Int in
                guard let start = target.baseAddress else { return 0 }
                // An empty array has no address, and OpenSSL looks at none of zero bytes.
                return unsafe withUnsafePointer(to: 0 as UInt8) { nothing in
                    unsafe cp_digest(name, source.baseAddress ?? UnsafeRawPointer(nothing), source.count, start)
                }
            }
        }
        return Array(out.prefix(count))
    }
}
