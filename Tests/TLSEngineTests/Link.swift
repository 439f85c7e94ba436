// SPDX-License-Identifier: Apache-2.0
//
// A client's engine against a server's, through arrays of bytes that are cut wherever a seed says.

import ProxyConfig
import TLSEngine
import Vocabulary

/// One side, with the calls of the engine over arrays.
struct Side {
    let connection: TLSConnection
    var progress = TLSConnection.Progress.wantsInput

    /// What waits, taken in pieces of `piece` bytes.
    func takeOutput(piece: Int = 4096) -> [UInt8] {
        var all: [UInt8] = []
        while connection.outputBytes > 0 {
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: piece) { buffer, count in
                count = unsafe connection.takeOutput(UnsafeMutableRawBufferPointer(buffer))
            }
            all += bytes
        }
        return all
    }

    @discardableResult
    mutating func handshake(_ input: [UInt8] = []) -> TLSConnection.Progress {
        progress = unsafe input.withUnsafeBytes { unsafe connection.handshake($0) }
        return progress
    }

    func open(_ input: [UInt8], room: Int? = nil) -> (TLSConnection.Opened, [UInt8]) {
        var opened = TLSConnection.Opened.failed
        let plain = unsafe [UInt8](unsafeUninitializedCapacity: room ?? input.count + TLSConnection.openSlack) {
            buffer, count in
            opened = unsafe input.withUnsafeBytes {
                unsafe connection.open($0, into: UnsafeMutableRawBufferPointer(buffer))
            }
            switch opened {
            case .bytes(let bytes), .closed(let bytes): count = bytes
            case .failed: count = 0
            }
        }
        return (opened, plain)
    }

    func seal(_ plain: [UInt8], room: Int? = nil) -> [UInt8]? {
        var isSealed = true
        let sealed = unsafe [UInt8](unsafeUninitializedCapacity: room ?? plain.count + TLSConnection.sealSlack) {
            buffer, count in
            let written = unsafe plain.withUnsafeBytes {
                unsafe connection.seal($0, into: UnsafeMutableRawBufferPointer(buffer))
            }
            isSealed = written != nil
            count = written ?? 0
        }
        return isSealed ? sealed : nil
    }

    func value(_ variable: BuiltinVariable) -> String? {
        var bytes: [UInt8] = []
        return connection.append(variable, to: &bytes) ? String(decoding: bytes, as: UTF8.self) : nil
    }
}

struct Link {
    var client: Side
    var server: Side
    private var random: SeededRandom
    private var pieceMax: Int

    /// `pieceMax`: the bytes of a piece that goes from one side to the other; nil: whatever is there.
    init(
        _ clientContext: TLSClientContext, _ serverContext: TLSServerContext, name: String = "server.test",
        isChoosing: Bool = false, store: TLSSessionStore? = nil, seed: UInt64 = 1, pieceMax: Int = .max
    ) {
        client = Side(
            connection: TLSConnection.connect(
                clientContext, name: Array(name.utf8), resuming: store, key: Array("127.0.0.1:8883 \(name)".utf8))!)
        server = Side(connection: TLSConnection.accept(serverContext, isChoosingByName: isChoosing)!)
        random = SeededRandom(seed: seed)
        self.pieceMax = pieceMax
    }

    func free() {
        client.connection.free()
        server.connection.free()
    }

    private mutating func pieces(_ bytes: [UInt8]) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = pieceMax == .max ? rest.count : Int.random(in: 1...pieceMax, using: &random)
            pieces.append(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        return pieces
    }

    mutating func handshake() { handshake { _ in } }

    /// Until both are done or nothing moves. `answer` is asked where the server's handshake stops.
    mutating func handshake(answer: (Side) throws -> Void) rethrows {
        client.handshake()
        for _ in 0..<32 {
            let toServer = client.takeOutput()
            for piece in pieces(toServer) {
                if server.progress == .done { break }
                server.handshake(piece)
                while server.progress == .choose || server.progress == .wantsCertificate {
                    try answer(server)
                    server.handshake()
                }
            }
            let toClient = server.takeOutput()
            for piece in pieces(toClient) {
                if client.progress == .done { _ = client.open(piece) } else { client.handshake(piece) }
            }
            if toServer.isEmpty && toClient.isEmpty { break }
        }
    }

    var isDone: Bool { client.progress == .done && server.progress == .done }

    /// Sends `plain` one way in pieces; what came out on the other side.
    mutating func send(_ plain: [UInt8], toServer: Bool = true) -> [UInt8]? {
        let (from, to) = toServer ? (client, server) : (server, client)
        guard let sealed = from.seal(plain) else { return nil }
        var opened: [UInt8] = []
        for piece in pieces(sealed) { opened += to.open(piece).1 }
        return opened
    }
}

/// A link that is not needed after the closure.
func withLink<Result>(
    _ client: TLSClientSettings, _ server: TLSServerSettings, name: String = "server.test", pieceMax: Int = .max,
    seed: UInt64 = 1, body: (inout Link) throws -> Result
) throws -> Result {
    var link = Link(
        try TLSClientContext(client), try TLSServerContext(server, tickets: nil, cache: nil), name: name, seed: seed,
        pieceMax: pieceMax)
    defer { link.free() }
    return try body(&link)
}
