// SPDX-License-Identifier: Apache-2.0
//
// A certificate with its chain and its key, read out of PEM: what a context has for good, and what a cache keeps for
// certificates that are chosen by a variable, because reading a key costs as much as a handshake.

import CTLS
import ProxyConfig

@safe package final class TLSKeyPair {
    let handle: OpaquePointer

    /// A chain whose key is somebody else's: for a context that makes no handshake.
    init(chain: TLSFile) throws(TLSFault) {
        guard let handle = unsafe ctls_pair_new(chain.bytes, chain.bytes.count) else {
            throw TLSFault.taken(
                "cannot load certificate\(Self.quoted(chain.path)): PEM_read_bio_X509_AUX() failed", file: chain.path)
        }
        unsafe self.handle = unsafe handle
    }

    /// `chainName` and `keyName` are for the fault's words and its `file`; nil where the bytes came from no file.
    package init(
        chain: [UInt8], key: [UInt8], passphrases: [[UInt8]], chainName: String? = nil, keyName: String? = nil
    ) throws(TLSFault) {
        guard let handle = unsafe ctls_pair_new(chain, chain.count) else {
            throw TLSFault.taken(
                "cannot load certificate\(Self.quoted(chainName)): PEM_read_bio_X509_AUX() failed", file: chainName)
        }
        unsafe self.handle = unsafe handle
        guard unsafe Self.readKey(key, passphrases: passphrases, into: handle) else {
            throw TLSFault.taken(
                "cannot load certificate key\(Self.quoted(keyName)): PEM_read_bio_PrivateKey() failed", file: keyName)
        }
    }

    deinit { unsafe ctls_pair_free(handle) }

    /// One passphrase after the other; a key that is not encrypted needs none.
    private static func readKey(_ key: [UInt8], passphrases: [[UInt8]], into handle: OpaquePointer) -> Bool {
        if passphrases.isEmpty {
            return unsafe ctls_pair_read_key(handle, key, key.count, nil, 0) == 1
        }
        for (index, passphrase) in passphrases.enumerated() {
            switch unsafe ctls_pair_read_key(handle, key, key.count, passphrase, passphrase.count) {
            case 1: return true
            case 0 where index < passphrases.count - 1: ctls_clear_errors()
            default: return false
            }
        }
        return false
    }

    static func quoted(_ name: String?) -> String { name.map { " \"\($0)\"" } ?? "" }
}
