// SPDX-License-Identifier: Apache-2.0
//
// An authority, certificates of it, and what its responder says of them, made once a run by the `openssl` program.

import Foundation
import TestSupport

enum StapleFiles {
    /// `good` and `revoked` are responses about `server`; `stranger` is one that somebody else signed.
    private static let recipe = #"""
        set -e
        ec="ec -pkeyopt ec_paramgen_curve:P-256"
        for name in ca other; do
          openssl req -x509 -newkey $ec -nodes -days 30 -subj /CN=$name -keyout $name.key -out $name.pem
        done
        signed() { # NAME SERIAL EXTENSION
          openssl req -new -newkey $ec -nodes -subj /CN=$1 -keyout $1.key -out $1.csr
          echo "$3" > $1.cnf
          openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -set_serial $2 -days 20 -extfile $1.cnf -out $1.pem
        }
        signed server 0x1A01 'authorityInfoAccess=OCSP;URI:http://responder.test/status'
        signed silent 0x1A02 'basicConstraints=CA:FALSE'
        signed secure 0x1A03 'authorityInfoAccess=OCSP;URI:https://responder.test/'
        cat server.pem ca.pem > chain.pem
        cat silent.pem ca.pem > silent-chain.pem
        cat secure.pem ca.pem > secure-chain.pem
        printf 'V\t400101000000Z\t\t1A01\tunknown\t/CN=server\n' > good.txt
        printf 'R\t400101000000Z\t200101000000Z\t1A01\tunknown\t/CN=server\n' > revoked.txt
        answer() { # NAME INDEX SIGNER
          openssl ocsp -index $2.txt -CA ca.pem -issuer ca.pem -cert server.pem -rsigner $3.pem -rkey $3.key \
            -ndays 2 -respout $1.der -noverify
        }
        answer good good ca
        answer revoked revoked ca
        answer stranger good other
        """#

    private static let files: [String: [UInt8]] = {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("weir-ocsp-\(UUID().uuidString)")
        try! FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let ending = try! ManagedProcess.runBlocking("bash", ["-c", recipe], in: folder.path)
        precondition(ending == .exited(0), "the recipe failed")
        var files: [String: [UInt8]] = [:]
        for name in try! FileManager.default.contentsOfDirectory(atPath: folder.path) {
            files[name] = Array(try! Data(contentsOf: folder.appendingPathComponent(name)))
        }
        return files
    }()

    static subscript(name: String) -> [UInt8] { files[name]! }

    /// All of them in the root folder, for a configuration to name.
    static var all: [String: [UInt8]] {
        Dictionary(uniqueKeysWithValues: files.map { ("/\($0.key)", $0.value) })
    }

    /// What a responder sends with this response.
    static func answer(_ name: String) -> [UInt8] { answer(files[name]!) }

    static func answer(
        _ body: [UInt8], status: String = "200 OK", type: String = "application/ocsp-response"
    ) -> [UInt8] {
        let head = "HTTP/1.0 \(status)\r\nContent-Type: \(type)\r\nContent-Length: \(body.count)\r\n\r\n"
        return Array(head.utf8) + body
    }
}
