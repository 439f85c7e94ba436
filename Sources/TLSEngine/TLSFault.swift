// SPDX-License-Identifier: Apache-2.0
//
// Why a context cannot be built or a connection failed, in the words that nginx logs: what was tried, and OpenSSL's
// reasons in brackets. No key and no passphrase is ever in it.

import CTLS

package struct TLSFault: Error, Hashable, CustomStringConvertible {
    /// "SSL_CTX_use_PrivateKey(\"/etc/weir/a.key\") failed (SSL: error:05800074:x509 certificate routines::…)"
    package var message: String
    /// The file that is to blame, where it is one.
    package var file: String?

    package init(message: String, file: String? = nil) {
        self.message = message
        self.file = file
    }

    package var description: String { message }

    /// What was tried, and what OpenSSL left in its error queue.
    static func taken(_ words: String, file: String? = nil) -> TLSFault {
        let errors = unsafe String(unsafeUninitializedCapacity: 1024) { buffer in
            unsafe buffer.withMemoryRebound(to: CChar.self) { text in
                unsafe ctls_take_errors(text.baseAddress!, text.count)
            }
        }
        return TLSFault(message: errors.isEmpty ? words : "\(words) (\(errors))", file: file)
    }
}
