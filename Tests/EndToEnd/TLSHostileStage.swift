// SPDX-License-Identifier: Apache-2.0
//
// Where a Weir that speaks TLS is treated badly: a listener for the bad client, two sessions beside it, one plain and
// one under TLS, that must not feel anything, and a look at how the bad one ended, in both logs.

import MQTTWire
import TestSupport
import Testing

struct TLSHostileStage {
    let stage: TLSStage
    let weir: WeirInstance
    /// What the bad client talks to: TLS.
    let endpoint: Endpoint
    /// The same broker without TLS.
    let plainEndpoint: Endpoint
    private let plainWitness: MQTTTestClient
    private let secureWitness: MQTTTestClient

    /// `settings` are further lines of the listener's server block; `broker` is behind it. `body` leaves no session of
    /// its own open.
    static func run(
        settings: String = "", broker: NullBroker, workers: Int = 1, _ body: (TLSHostileStage) async throws -> Void
    ) async throws {
        let stage = try await TLSStage()
        let quiet = try NullBroker()
        let ports = try PortRegistry.take(count: 4)
        let stream = """
            \(weirEndingLog)
            server {
                listen 127.0.0.1:\(ports[0]) ssl;
                \(TLSStage.lines())
                \(settings)
                proxy_pass \(broker.endpoint.text);
            }
            server { listen 127.0.0.1:\(ports[1]); mqtt_preread on; proxy_pass \(broker.endpoint.text); }
            server { listen 127.0.0.1:\(ports[2]); mqtt_preread on; proxy_pass \(quiet.endpoint.text); }
            server {
                listen 127.0.0.1:\(ports[3]) ssl;
                \(TLSStage.lines())
                mqtt_preread on;
                proxy_pass \(quiet.endpoint.text);
            }
            """
        try await stage.withWeir(stream: stream, workers: workers) { weir in
            let processes = weir.workers
            let plain = try MQTTTestClient.connected(to: .ipv4(ports[2]), id: "plain-witness")
            let secure = try MQTTTestClient.connected(to: .ipv4(ports[3]), id: "secure-witness", tls: stage.client())
            let hostile = TLSHostileStage(
                stage: stage, weir: weir, endpoint: .ipv4(ports[0]), plainEndpoint: .ipv4(ports[1]),
                plainWitness: plain, secureWitness: secure)
            try await body(hostile)
            try hostile.othersAreWell()
            let names = [plain.connection.localName, secure.connection.localName]
            plain.disconnect()
            secure.disconnect()
            for name in names { #expect(try await weir.sessionEnd(of: name).outcome == "200 client_closed") }
            #expect(weir.workers == processes)
        }
    }

    /// A round trip of each.
    func othersAreWell() throws {
        try plainWitness.ping(within: .seconds(5))
        try secureWitness.ping(within: .seconds(5))
    }

    /// A client below TLS.
    func connect() throws -> TCPConnection { try TCPConnection(to: endpoint) }

    /// What an honest client says first.
    func hello(_ options: TLSClientOptions? = nil) throws -> [UInt8] {
        try TLSTestStream(over: connect(), options ?? stage.client()).firstFlight()
    }

    /// The session of a client has ended so, with one line that says why, and nobody else has felt it.
    func expectEnd(
        of client: String, _ outcome: String, _ words: String, level: String = "info", _ what: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let end = try await weir.sessionEnd(of: client)
        #expect(end.outcome == outcome, "\(what)", sourceLocation: sourceLocation)
        #expect(end.lines.count == 1, "\(what): \(end.lines)", sourceLocation: sourceLocation)
        let line = end.lines.first ?? ""
        let isSaid = line.contains(" [\(level)] ") && line.contains(" \(words), client: 127.0.0.1, server: 127.0.0.1:")
        #expect(isSaid, "\(what): \"\(words)\" at \(level), not \(line)", sourceLocation: sourceLocation)
        try othersAreWell()
    }
}

/// For `stream`: the log that `sessionEnd` reads.
let weirEndingLog = """
    log_format ending '$connection $status $close_reason';
    access_log logs/ending.log ending;
    """

struct SessionEnd {
    /// `$status` and `$close_reason`.
    let outcome: String
    /// Of the error log, but those that only say who is connected to whom.
    let lines: [String]
}

extension WeirInstance {
    /// How the session of a client ended, by the client's own address; waits for that.
    func sessionEnd(of client: String) async throws -> SessionEnd {
        // 2026/01/01 00:00:00 [info] 4711#4711: *128 client 127.0.0.1:40000 connected to 127.0.0.1:1883
        let first = try await errorLine(with: " client \(client) connected to ")
        guard let number = first.split(separator: " *").last?.prefix(while: \.isNumber) else {
            throw TestFault("no number in: \(first)")
        }
        let path = directory.path("logs/ending.log")
        let entry = try await eventually("*\(number), of \(client), ends\n\(report)") {
            TestSupport.lines(of: path).first { $0.hasPrefix("\(number) ") }
        }
        let mine = errorLines.filter { $0.contains(": *\(number) ") && !$0.contains(" connected to ") }
        return SessionEnd(outcome: String(entry.dropFirst(number.count + 1)), lines: mine)
    }
}
