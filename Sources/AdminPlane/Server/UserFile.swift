// SPDX-License-Identifier: Apache-2.0
//
// Who may come in by `auth_basic`. Slow hashes are meant to be slow, so they are worked out one at a time, off the
// event loop, and a right answer is remembered: somebody who asks every second pays once, and somebody who guesses
// takes no more than one processor's turn. What is remembered are digests with a salt of this process.

import Foundation
import ProxyConfig

actor UserFile {
    nonisolated let realm: String
    private let hashes: [String: PasswordHash]
    private let salt: [UInt8] = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
    private var remembered: Set<[UInt8]> = []
    private static let rememberedMax = 256

    init(_ auth: BasicAuth) {
        realm = auth.realm
        var hashes: [String: PasswordHash] = [:]
        for line in auth.usersBytes.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) {
            guard line.first != UInt8(ascii: "#") else { continue }
            let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            guard fields.count >= 2 else { continue }
            let name = String(decoding: fields[0], as: UTF8.self)
            // The first line of a name counts, as in nginx.
            if hashes[name] == nil { hashes[name] = PasswordHash(text: String(decoding: fields[1], as: UTF8.self)) }
        }
        self.hashes = hashes
    }

    /// `Authorization: Basic …`. The user's name; nil: it is nobody we know.
    func user(authorization: String?) -> String? {
        guard let authorization, authorization.prefix(6).lowercased() == "basic ",
            let data = Data(base64Encoded: authorization.dropFirst(6).trimmingCharacters(in: .whitespaces)),
            let credentials = String(validating: data, as: UTF8.self), !credentials.utf8.contains(0)
        else { return nil }
        let sides = credentials.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard sides.count == 2, let hash = hashes[String(sides[0])] else { return nil }
        let digest = Digest.sha256(salt + Array(credentials.utf8))
        if remembered.contains(digest) { return String(sides[0]) }
        guard hash.matches(String(sides[1])) else { return nil }
        if remembered.count >= Self.rememberedMax { remembered.removeAll() }
        remembered.insert(digest)
        return String(sides[0])
    }
}
