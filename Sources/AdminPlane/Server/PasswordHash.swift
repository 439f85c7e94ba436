// SPDX-License-Identifier: Apache-2.0
//
// A password as a line of a user file has it: nginx's kinds, which are those of htpasswd(1), LDAP and crypt(3).
// Compares in a time that does not tell how much was right.

import CPasswords
import Foundation

struct PasswordHash: Sendable {
    /// What stands in the file.
    let text: String

    func matches(_ password: String) -> Bool {
        if let plain = text.without(prefix: "{PLAIN}") { return Self.isEqual(Array(plain.utf8), Array(password.utf8)) }
        if let base64 = text.without(prefix: "{SHA}") {
            guard let digest = Data(base64Encoded: String(base64)) else { return false }
            return Self.isEqual(Array(digest), Digest.sha1(Array(password.utf8)))
        }
        if let base64 = text.without(prefix: "{SSHA}") {
            guard let data = Data(base64Encoded: String(base64)), data.count >= 20 else { return false }
            return Self.isEqual(
                Array(data.prefix(20)), Digest.sha1(Array(password.utf8) + Array(data.dropFirst(20))))
        }
        let hash = text.hasPrefix("$apr1$") ? Self.apr1(password, like: text) : Self.crypt(password, like: text)
        return hash.map { Self.isEqual(Array($0.utf8), Array(text.utf8)) } ?? false
    }

    private static func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(0 as UInt8) { $0 | ($1.0 ^ $1.1) } == 0
    }

    /// Nil: libcrypt does not know the way, or `text` is no hash at all.
    private static func crypt(_ password: String, like text: String) -> String? {
        var out = [CChar](repeating: 0, count: CP_CRYPT_BYTES_MAX)
        let count = unsafe out.withUnsafeMutableBufferPointer { target -> Int in
            guard let start = target.baseAddress else { return 0 }
            return unsafe cp_crypt(password, text, start)
        }
        return count == 0 ? nil : String(decoding: out.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Apache's MD5 in a thousand rounds, `$apr1$SALT$HASH`. libcrypt does not have it.
    private static func apr1(_ password: String, like text: String) -> String? {
        let fields = text.split(separator: "$", omittingEmptySubsequences: false)
        guard fields.count == 4 else { return nil }
        let salt = Array(fields[2].utf8.prefix(8))
        let password = Array(password.utf8)
        let inner = Digest.md5(password + salt + password)
        var first = password + Array("$apr1$".utf8) + salt
        for start in stride(from: 0, to: password.count, by: 16) { first += inner.prefix(password.count - start) }
        var bits = password.count
        while bits > 0 {
            first.append(bits & 1 == 1 ? 0 : password[0])
            bits >>= 1
        }
        var hash = Digest.md5(first)
        for round in 0..<1000 {
            var next = round & 1 == 1 ? password : hash
            if round % 3 != 0 { next += salt }
            if round % 7 != 0 { next += password }
            next += round & 1 == 1 ? hash : password
            hash = Digest.md5(next)
        }
        guard hash.count == 16 else { return nil }
        return "$apr1$" + String(decoding: salt, as: UTF8.self) + "$" + base64(hash)
    }

    /// crypt's own base 64: its own alphabet, the low bits first, the bytes in an order of their own.
    private static func base64(_ hash: [UInt8]) -> String {
        let alphabet = Array("./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
        var text = ""
        func append(_ value: UInt32, digits: Int) {
            for digit in 0..<digits { text.append(alphabet[Int(value >> UInt32(6 * digit) & 63)]) }
        }
        for index in 0..<5 {
            let low = index == 4 ? 5 : index + 12
            append(
                UInt32(hash[index]) << 16 | UInt32(hash[index + 6]) << 8 | UInt32(hash[low]), digits: 4)
        }
        append(UInt32(hash[11]), digits: 2)
        return text
    }
}

extension String {
    fileprivate func without(prefix: String) -> Substring? { hasPrefix(prefix) ? dropFirst(prefix.count) : nil }
}
