// SPDX-License-Identifier: Apache-2.0
//
// Passwords of user files, with hashes that other programs made.

import ProxyConfig
import Testing

@testable import AdminPlane

@Suite("Passwords") struct PasswordTests {
    /// Made by:
    ///   openssl passwd -apr1 | -1 | -5 | -6 -salt abcdefgh 'open sesame'
    ///   printf 'open sesame' | openssl dgst -sha1 -binary | base64
    ///   (printf 'open sesamesalt' | openssl dgst -sha1 -binary; printf salt) | base64
    ///   python3.11 -c 'import crypt; print(crypt.crypt("open sesame", "$2b$04$abcdefghijklmnopqrstuu"))'
    ///   the same with "$y$j75$saltsaltsalt"
    static let sesame = [
        "{PLAIN}open sesame",
        "{SHA}W8r/fyL/UzygmbNAjq2HbA67qac=",
        "{SSHA}hN5uxFJUEWCPg56kk42tnVCdJ61zYWx0",
        "$apr1$abcdefgh$T64oOxnD8c28.dQa.2Lty1",
        "$1$abcdefgh$9qMkHazuSy1Q8myEum7yb/",
        "$5$abcdefgh$FWXdh6oXOJQkX7oAcP02d0Gnxjct6ra8Fwv29U9RIN2",
        "$6$abcdefgh$CkjGkP7IIgZVUCNlt.Vi53LOYJLXZ5KzdpzEYCj01XGruA1hxZYJqccTU2zz68oJwAGsd1iPty5F7dHIatUTy/",
        "$2b$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy",
        "$y$j75$saltsaltsalt$/t.p6VFaMssrvW9hjFBIPSCdXaaCzdMD9V8t0nx8fL.",
    ]

    @Test("the right password matches, and nothing near it does", arguments: sesame)
    func matches(text: String) {
        let hash = PasswordHash(text: text)
        #expect(hash.matches("open sesame"))
        for wrong in ["open sesamf", "open sesame ", "open sesam", "", "Open sesame"] {
            #expect(!hash.matches(wrong), "\(wrong)")
        }
    }

    /// openssl passwd -apr1 -salt 12345678 'a password that is longer than sixteen bytes'
    @Test("a password longer than a block of MD5's output matches")
    func longPassword() {
        let hash = PasswordHash(text: "$apr1$12345678$uRmxmCy2Q6t9B9VQlZQWd.")
        #expect(hash.matches("a password that is longer than sixteen bytes"))
    }

    @Test("what is no hash matches nothing", arguments: [
        "", "open sesame", "*", "{SHA}", "{SHA}!!", "{SSHA}c2hvcnQ=", "$apr1$", "$apr1$salt", "$9$salt$x", "{MD5}x",
    ])
    func broken(text: String) {
        for password in ["", "open sesame", text] { #expect(!PasswordHash(text: text).matches(password)) }
    }

    private func users(_ text: String) -> UserFile {
        UserFile(BasicAuth(realm: "r", usersPath: "/users", usersBytes: Array(text.utf8)))
    }

    @Test("a file's users come in by their own passwords only; comments and the second line of a name are nothing")
    func file() async {
        let users = users("# tea:{PLAIN}x\n\nann:{PLAIN}one:a comment\r\nbob:{PLAIN}two\nbob:{PLAIN}three\n")
        // printf 'ann:one' | base64, and so on
        #expect(await users.user(authorization: "Basic YW5uOm9uZQ==") == "ann")
        #expect(await users.user(authorization: "basic  YW5uOm9uZQ==") == "ann", "the word in any case")
        #expect(await users.user(authorization: "Basic Ym9iOnR3bw==") == "bob")
        #expect(await users.user(authorization: "Basic Ym9iOnRocmVl") == nil, "bob:three")
        #expect(await users.user(authorization: "Basic YW5uOnR3bw==") == nil, "ann:two")
        #expect(await users.user(authorization: "Basic IyB0ZWE6eA==") == nil, "# tea:x")
        #expect(await users.user(authorization: "Bearer YW5uOm9uZQ==") == nil)
        #expect(await users.user(authorization: "Basic !") == nil)
        #expect(await users.user(authorization: nil) == nil)
    }

    @Test("a password that was right once is right again, and a wrong one stays wrong")
    func remembered() async {
        let users = users("ann:\(Self.sesame[6])\n")
        for _ in 0..<3 {
            // printf 'ann:open sesame' | base64; printf 'ann:open sesamf' | base64
            #expect(await users.user(authorization: "Basic YW5uOm9wZW4gc2VzYW1l") == "ann")
            #expect(await users.user(authorization: "Basic YW5uOm9wZW4gc2VzYW1m") == nil)
        }
    }
}
