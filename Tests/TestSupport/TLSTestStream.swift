// SPDX-License-Identifier: Apache-2.0
//
// A TLS client of a test: OpenSSL over memory, its bytes through a TCPConnection, which a test may also use directly to
// be rude. Blocks its thread; every call has a deadline.

import CTestTLS
import Synchronization

package final class TLSTestStream: ByteStream {
    /// A session in DER: it outlives its stream and may be offered on another.
    package struct Session: Sendable, Equatable {
        package let bytes: [UInt8]
    }

    /// How a stream ended.
    package enum End: Sendable, Equatable {
        /// close_notify.
        case closed
        /// FIN without close_notify.
        case truncated
        case reset
        /// OpenSSL's words, for an alert of the server above all.
        case failed(String)
    }

    /// What a handshake has settled.
    package enum Fact: Int, Sendable {
        case version
        case cipher
        case applicationProtocol
        case serverSubject
        case serverSerial
        /// "id-ecPublicKey" or "rsaEncryption".
        case serverKeyType
        /// Subjects of what the server sent, one a line.
        case serverChain
        /// Names of authorities in the server's CertificateRequest, one a line.
        case authorityNames
        case group
        /// On a server's side: what SNI asked for.
        case requestedName
        /// "accepted", "rejected", or "".
        case earlyData
        /// What the session that the server gave allows of it, in bytes.
        case earlyDataMax
    }

    package let connection: TCPConnection
    private let options: TLSClientOptions
    private let client: Mutex<Client>

    /// Not connected any further than `connection` is: `handshake` is the caller's.
    package init(over connection: TCPConnection, _ options: TLSClientOptions) throws {
        self.connection = connection
        self.options = options
        client = unsafe try Mutex(Client(options.makeClient()))
    }

    /// Connects, and the handshake is done.
    package convenience init(
        to endpoint: Endpoint, _ options: TLSClientOptions, from source: String? = nil,
        within duration: Duration = .seconds(30)
    ) throws {
        try self.init(over: TCPConnection(to: endpoint, from: source), options)
        try handshake(within: duration)
    }

    /// The server's side of an accepted connection.
    init(over connection: TCPConnection, server handle: sending UnsafeMutableRawPointer) {
        self.connection = connection
        options = TLSClientOptions()
        client = Mutex(unsafe Client(handle))
    }

    // MARK: Handshake

    package func handshake(within duration: Duration = .seconds(30)) throws {
        let deadline = Deadline(in: duration)
        try client.withLock { client in
            while true {
                let step = client.handshake()
                // An alert goes out even where the handshake failed.
                try deliver(&client, deadline, isFailureOurs: step != .failed)
                switch step {
                case .done: return
                case .failed: throw TestFault("TLS handshake: \(client.error)")
                case .wantsInput:
                    guard try takeInput(&client, deadline) else {
                        throw TestFault("TLS handshake: the stream ended")
                    }
                }
            }
        }
    }

    /// Up to the point where the next bytes are the server's to send: what the client says first is returned, unsent.
    package func firstFlight() -> [UInt8] {
        client.withLock { client in
            _ = client.handshake()
            return client.takeOutput()
        }
    }

    package func fact(_ fact: Fact) -> String { client.withLock { $0.describe(fact) } }

    package var isReused: Bool { client.withLock { $0.isReused } }

    /// The session as it stands; under TLS 1.3 one that can be resumed comes with the server's first record of data.
    package var session: Session { client.withLock { Session(bytes: $0.session) } }

    // MARK: Out

    package func send(_ bytes: [UInt8], within duration: Duration = .seconds(20)) throws {
        let deadline = Deadline(in: duration)
        try client.withLock { client in
            guard client.write(bytes) else { throw TestFault("TLS send: \(client.error)") }
            try deliver(&client, deadline)
        }
    }

    package func send(_ text: String) throws { try send(Array(text.utf8)) }

    // MARK: In

    /// What is there, at least one byte; nil at the end of the stream, whatever kind of end it is.
    package func receive(within duration: Duration = .seconds(30)) throws -> [UInt8]? {
        switch try take(Deadline(in: duration)) {
        case .success(let bytes): return bytes
        case .failure(.end(.failed(let words))): throw TestFault("TLS receive: \(words)")
        case .failure(.end(.reset)): throw TestFault("TLS receive: reset")
        case .failure: return nil
        }
    }

    /// Exactly `count` bytes.
    package func receive(exactly count: Int, within duration: Duration = .seconds(30)) throws -> [UInt8] {
        let deadline = Deadline(in: duration)
        var bytes: [UInt8] = []
        while bytes.count < count {
            switch try take(deadline, upTo: count - bytes.count) {
            case .success(let more): bytes += more
            case .failure(let end): throw TestFault("TLS: \(end) after \(bytes.count) of \(count) bytes")
            }
        }
        return bytes
    }

    /// Everything up to the end of the stream, whatever kind of end it is.
    package func textToEnd(within duration: Duration = .seconds(30)) throws -> String {
        let deadline = Deadline(in: duration)
        var bytes: [UInt8] = []
        while case .success(let more) = try take(deadline) { bytes += more }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Drops what still comes, and says how the stream ended.
    package func waitForEnd(within duration: Duration = .seconds(30)) throws -> End {
        let deadline = Deadline(in: duration)
        while true {
            if case .failure(.end(let end)) = try take(deadline) { return end }
        }
    }

    private enum Outcome: Error { case end(End) }

    private func take(_ deadline: Deadline, upTo count: Int = 65_536) throws -> Result<[UInt8], Outcome> {
        try client.withLock { client in
            while true {
                switch client.read(upTo: count) {
                case .bytes(let bytes): return .success(bytes)
                case .end(let end): return .failure(.end(end))
                case .wantsInput: break
                }
                // Answers to what was read: a key update, an alert.
                try deliver(&client, deadline, isFailureOurs: false)
                do {
                    if try !takeInput(&client, deadline) { return .failure(.end(.truncated)) }
                } catch let fault as TestFault where fault.isReset {
                    return .failure(.end(.reset))
                }
            }
        }
    }

    // MARK: Ends

    /// close_notify, but no FIN: the other direction goes on.
    package func endSending() throws {
        try client.withLock { client in
            client.close()
            try deliver(&client, Deadline(in: .seconds(5)))
        }
    }

    package func close() { close(sayingGoodbye: options.saysGoodbye) }

    package func close(sayingGoodbye: Bool) {
        if sayingGoodbye { try? endSending() }
        connection.close()
    }

    // MARK: Rude things

    /// Asks for a new handshake (TLS 1.2); the answer comes with what is read next.
    package func renegotiate() throws {
        try client.withLock { client in
            client.renegotiate()
            try deliver(&client, Deadline(in: .seconds(5)))
        }
    }

    /// Before the handshake, with a session to resume: sends ClientHello and `bytes` behind it, as early data.
    package func sendEarly(_ bytes: [UInt8]) throws {
        try client.withLock { client in
            guard client.writeEarly(bytes) else { throw TestFault("TLS early data: \(client.error)") }
            try deliver(&client, Deadline(in: .seconds(5)))
        }
    }

    /// Asks for new keys on both sides (TLS 1.3).
    package func updateKeys() throws {
        try client.withLock { client in
            guard client.updateKeys() else { throw TestFault("key update: \(client.error)") }
            try deliver(&client, Deadline(in: .seconds(5)))
        }
    }

    // MARK: The socket

    /// A server that has closed already takes nothing more: why it closed is what the next read tells.
    private func deliver(_ client: inout Client, _ deadline: Deadline, isFailureOurs: Bool = true) throws {
        let bytes = client.takeOutput()
        guard !bytes.isEmpty else { return }
        do {
            try connection.send(bytes, within: deadline.left)
        } catch { if isFailureOurs { throw error } }
    }

    /// False at the end of the stream.
    private func takeInput(_ client: inout Client, _ deadline: Deadline) throws -> Bool {
        guard let bytes = try connection.receive(upTo: 65_536, within: deadline.left) else { return false }
        client.feed(bytes)
        return true
    }
}

/// The client of CTestTLS. Its owner's lock keeps it to one thread at a time, and each call leaves OpenSSL's errors of
/// that thread taken.
@safe private struct Client: ~Copyable {
    enum Step { case done, wantsInput, failed }
    enum Read {
        case bytes([UInt8])
        case wantsInput
        case end(TLSTestStream.End)
    }

    private let handle: UnsafeMutableRawPointer
    /// Of the last call that failed.
    private(set) var error = ""

    init(_ handle: UnsafeMutableRawPointer) { unsafe self.handle = unsafe handle }

    deinit { unsafe ctt_client_free(handle) }

    mutating func handshake() -> Step {
        if unsafe ctt_client_handshake(handle) == 1 { return .done }
        if unsafe ctt_client_condition(handle, -1) == Condition.wantsInput { return .wantsInput }
        error = unsafe openSSLError(handle)
        return .failed
    }

    mutating func write(_ bytes: [UInt8]) -> Bool {
        if bytes.isEmpty { return true }
        if unsafe Int(ctt_client_write(handle, bytes, bytes.count)) == bytes.count { return true }
        error = unsafe openSSLError(handle)
        return false
    }

    mutating func writeEarly(_ bytes: [UInt8]) -> Bool {
        if unsafe ctt_client_write_early(handle, bytes, bytes.count) == 1 { return true }
        error = unsafe openSSLError(handle)
        return false
    }

    mutating func read(upTo count: Int) -> Read {
        var result: Int32 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            result = unsafe ctt_client_read(handle, buffer.baseAddress, count)
            filled = Int(max(result, 0))
        }
        if result > 0 { return .bytes(bytes) }
        switch unsafe ctt_client_condition(handle, result) {
        case Condition.wantsInput: return .wantsInput
        case Condition.closed: return .end(.closed)
        default:
            error = unsafe openSSLError(handle)
            return .end(.failed(error))
        }
    }

    func feed(_ bytes: [UInt8]) { unsafe ctt_client_feed(handle, bytes, bytes.count) }

    func takeOutput() -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let some = unsafe [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, filled in
                filled = unsafe ctt_client_take(handle, buffer.baseAddress, buffer.count)
            }
            if some.isEmpty { return all }
            all += some
        }
    }

    func close() { unsafe ctt_client_close(handle) }
    func renegotiate() { _ = unsafe ctt_client_renegotiate(handle) }
    func updateKeys() -> Bool { unsafe ctt_client_update_key(handle) == 1 }

    func describe(_ fact: TLSTestStream.Fact) -> String {
        unsafe written { unsafe ctt_client_describe(handle, Int32(fact.rawValue), $0, $1) }
    }

    var isReused: Bool { unsafe ctt_client_is_reused(handle) == 1 }

    var session: [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: 16_384) { buffer, filled in
            filled = unsafe min(ctt_client_session(handle, buffer.baseAddress, buffer.count), buffer.count)
        }
    }
}

/// SSL_ERROR_… of openssl/ssl.h.
private enum Condition {
    static let wantsInput: Int32 = 2
    static let closed: Int32 = 6
}
