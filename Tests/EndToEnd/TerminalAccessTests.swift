// SPDX-License-Identifier: Apache-2.0
//
// How the commands reach the API: over TLS with an authority of one's own and a certificate to show, over a unix socket,
// with a name and a password from the environment or a netrc file; and what they say when they are not let in.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("terminal commands: access")
struct TerminalAccessTests {
    private static let stream = "upstream brokers { zone b; server 127.0.0.1:1; server 127.0.0.1:2; }"

    private static func serving(_ ports: [UInt16]) -> String {
        stream + "\nserver { listen 127.0.0.1:\(ports[0]); proxy_pass brokers; }"
    }

    @Test("https: a server that an authority of one's own vouches for is trusted, and no other is")
    func https() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 3)
        let main = """
            http {
                server { listen 127.0.0.1:\(ports[1]) ssl; \(TLSStage.lines()) location /api { api; } }
                server { listen 127.0.0.1:\(ports[2]) ssl; \(TLSStage.lines("second")) location /api { api; } }
            }
            """
        try await stage.withWeir(main: main, stream: Self.serving(ports)) { weir in
            let commands = try TerminalStage()
            func list(_ host: String, _ port: UInt16, _ more: String...) async throws -> CommandAnswer {
                try await commands.run(
                    program: try WeirBinary.path, ["servers", "--api", "https://\(host):\(port)/api"] + more)
            }
            let trusted = ["--cacert", stage.path("ca.pem")]
            // The certificate has the address, and the name.
            for host in ["127.0.0.1", "localhost"] {
                let answer = try await list(host, ports[1], trusted[0], trusted[1])
                #expect(answer.code == 0 && answer.output.contains("127.0.0.1:1"), "\(answer)")
            }
            let unknown = try await list("127.0.0.1", ports[1])
            #expect(unknown.code == 1 && unknown.output == "", "\(unknown)")
            #expect(unknown.complaint.contains("its certificate is not trusted"), "\(unknown)")
            let foreign = try await list("127.0.0.1", ports[1], "--cacert", stage.path("other.pem"))
            #expect(foreign.code == 1 && foreign.complaint.contains("its certificate is not trusted"), "\(foreign)")
            // A good certificate, of another server.
            for host in ["127.0.0.1", "localhost"] {
                let other = try await list(host, ports[2], trusted[0], trusted[1])
                #expect(other.code == 1 && other.complaint.contains("its certificate is"), "\(other)")
            }
            let missing = try await list("127.0.0.1", ports[1], "--cacert", stage.path("nothing.pem"))
            #expect(missing.code == 1 && missing.complaint.contains("nothing.pem"), "\(missing)")
            // TLS where none is spoken, and the other way round.
            let plain = try await commands.run("servers", "--api", "http://127.0.0.1:\(ports[1])/api")
            #expect(plain.code == 1, "\(plain)")
        }
    }

    @Test("https: a server that asks for a certificate gets it, and changes are for whoever has one")
    func clientCertificate() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 2)
        let main = """
            http { server {
                listen 127.0.0.1:\(ports[1]) ssl; \(TLSStage.lines()) \(TLSStage.mutualLines)
                location /api { api write=on; }
            } }
            """
        try await stage.withWeir(main: main, stream: Self.serving(ports)) { weir in
            let commands = try TerminalStage(api: "https://127.0.0.1:\(ports[1])/api")
            func down(_ more: [String]) async throws -> CommandAnswer {
                try await commands.run(
                    program: try WeirBinary.path,
                    ["servers", "down", "127.0.0.1:1", "--cacert", stage.path("ca.pem")] + more)
            }
            func own(_ name: String) -> [String] {
                ["--cert", stage.path("\(name).pem"), "--key", stage.path("\(name).key")]
            }
            let nobody = try await down([])
            #expect(nobody.code == 1 && nobody.output == "", "\(nobody)")
            let stranger = try await down(own("stranger"))
            #expect(stranger.code == 1 && stranger.output == "", "\(stranger)")
            let good = try await down(own("app"))
            #expect(good.code == 0 && good.output == "127.0.0.1:1 in brokers is down\n", "\(good)")
            #expect(try await down(["--cert", stage.path("app.pem")]).code == 64, "a certificate needs its key")
            let mismatched = try await down(["--cert", stage.path("app.pem"), "--key", stage.path("client.key")])
            #expect(mismatched.code == 1 && mismatched.complaint.contains("app.pem"), "\(mismatched)")
        }
    }

    @Test("unix: a socket is the way for those who may write to it, with the API at any path")
    func unixSocket() async throws {
        let directory = try TemporaryDirectory()
        let ports = try PortRegistry.take(count: 1)
        let socket = directory.path("admin.sock")
        let main = """
            http { server {
                listen unix:\(socket);
                location /api { api write=on; }
                location /other/api { api; }
            } }
            """
        try await withWeir(in: directory, main: main, stream: Self.serving(ports)) { weir in
            let commands = try TerminalStage(api: "unix:\(socket)")
            let change = try await commands.run("servers", "drain", "127.0.0.1:2")
            #expect(change.code == 0, "\(change)")
            try await weir.errorLine(with: "asked for by unix:")
            let list = try await commands.run("servers", "--api", "unix:\(socket):/other/api")
            #expect(list.code == 0 && list.output.contains("draining"), "\(list)")
            #expect(try await commands.run("where", "a/b").code == 3)
            #expect(try await commands.run("top", "--json").code == 0)
            let missing = try await commands.run("servers", "--api", "unix:\(directory.path("no.sock"))")
            #expect(missing.code == 1 && missing.complaint.contains("No such file or directory"), "\(missing)")
        }
    }

    @Test("auth_basic: a password comes from the environment or a netrc file that nobody else may read")
    func password() async throws {
        let directory = try TemporaryDirectory()
        let ports = try PortRegistry.take(count: 2)
        // printf 'correct:horse' | openssl dgst -sha1 -binary | base64
        try directory.write("ada:{SHA}wFzIss1bpQ9O3Ln/OY0FHEL/qDo=\nbob:{PLAIN}battery\n", to: "users")
        let main = """
            http { server {
                listen 127.0.0.1:\(ports[1]); auth_basic "Weir"; auth_basic_user_file users;
                location /api { api write=on; }
            } }
            """
        try await withWeir(in: directory, main: main, stream: Self.serving(ports)) { weir in
            let nobody = try TerminalStage(api: "http://127.0.0.1:\(ports[1])/api")
            func expectRefusal(_ answer: CommandAnswer, _ part: String) {
                #expect(answer.code == 1 && answer.output == "" && answer.complaint.contains(part), "\(answer)")
                #expect(!answer.complaint.contains("horse") && !answer.complaint.contains("battery"))
            }
            expectRefusal(try await nobody.run("servers"), "the API wants a name and a password: set WEIR_API_AUTH=")
            expectRefusal(
                try await nobody.with("WEIR_API_AUTH", "ada:battery").run("servers"), "the API wants a name")
            expectRefusal(try await nobody.with("WEIR_API_AUTH", "horse").run("servers"), "not of the form user:password")
            let ada = nobody.with("WEIR_API_AUTH", "ada:correct:horse")
            #expect(try await ada.run("servers").code == 0)
            // The log names who has changed what.
            #expect(try await ada.run("servers", "down", "127.0.0.1:1").code == 0)
            try await weir.errorLine(with: "asked for by ada")

            let file = try nobody.home.write(
                "machine elsewhere login eve password no\nmachine 127.0.0.1 login bob password battery\n", to: "netrc")
            unsafe chmod(file, 0o644)
            expectRefusal(try await nobody.run("servers", "--netrc-file", file), "chmod 600")
            unsafe chmod(file, 0o600)
            #expect(try await nobody.run("servers", "--netrc-file", file).code == 0)
            expectRefusal(try await nobody.run("servers", "--netrc-file", file + "s"), "there is no file")
            // ~/.netrc is found by itself, and left alone where others may read it.
            unsafe rename(file, nobody.home.path(".netrc"))
            #expect(try await nobody.run("servers").code == 0)
            unsafe chmod(nobody.home.path(".netrc"), 0o640)
            expectRefusal(try await nobody.run("servers"), "the API wants a name")
        }
    }
}
