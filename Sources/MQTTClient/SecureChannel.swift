// SPDX-License-Identifier: Apache-2.0
//
// TLS between a client's bytes and its socket: what came from the socket goes in, what the client reads comes out, and
// ciphertext gathers in `output` until the socket takes it. Knows no socket.
//
// Invariant 1: `isOpen` goes from false to true once, and nothing is sealed before.
// Invariant 2: whatever a call's result, `output` holds all that the peer is to have, an alert included.

import TLSEngine

final class SecureChannel {
    private let connection: TLSConnection
    /// True exactly when the handshake is done.
    private(set) var isOpen = false
    /// The peer's close_notify was read: nothing comes any more.
    private(set) var isEnded = false
    /// `closeWriting` was called.
    private(set) var isClosing = false
    /// Waits for the socket; the owner takes from the front with `consumeOutput`.
    private(set) var output: [UInt8] = []

    /// Nil: no memory.
    init?(_ security: DeviceSecurity) {
        let name = Array(security.serverName.utf8)
        guard let connection = TLSConnection.connect(security.context, name: name, resuming: nil, key: []) else {
            return nil
        }
        self.connection = connection
    }

    deinit { connection.free() }

    func consumeOutput(_ count: Int) { output.removeFirst(count) }

    /// Says hello.
    func begin() throws(TLSFault) { _ = try received([]) }

    /// What the client may read of it.
    func received(_ bytes: [UInt8]) throws(TLSFault) -> [UInt8] {
        defer { takeOutput() }
        if isOpen { return try open(bytes) }
        switch unsafe bytes.withUnsafeBytes({ unsafe connection.handshake($0) }) {
        case .done:
            isOpen = true
            // Tickets, or the peer's first words, may have come along.
            return try open([])
        case .wantsInput:
            return []
        case .choose, .wantsCertificate, .failed:
            throw fault
        }
    }

    func seal(_ plain: ArraySlice<UInt8>) throws(TLSFault) {
        precondition(isOpen, "sealed before the handshake's end")
        let sealed = unsafe plain.withUnsafeBytes { plain in
            unsafe [UInt8](unsafeUninitializedCapacity: plain.count + TLSConnection.sealSlack) { buffer, count in
                count = unsafe connection.seal(plain, into: UnsafeMutableRawBufferPointer(buffer)) ?? 0
            }
        }
        output += sealed
        takeOutput()
        if connection.fault != nil { throw fault }
    }

    /// Says close_notify; nothing is sealed after it.
    func closeWriting() {
        isClosing = true
        connection.closeWriting()
        takeOutput()
    }

    private func open(_ bytes: [UInt8]) throws(TLSFault) -> [UInt8] {
        var plain = try openOnce(bytes)
        // What came with the handshake's last flight may be more than one call gives.
        while !isEnded, connection.hasInput {
            let more = try openOnce([])
            if more.isEmpty { break }
            plain += more
        }
        return plain
    }

    private func openOnce(_ bytes: [UInt8]) throws(TLSFault) -> [UInt8] {
        var outcome = TLSConnection.Opened.failed
        let plain = unsafe bytes.withUnsafeBytes { bytes in
            unsafe [UInt8](unsafeUninitializedCapacity: bytes.count + TLSConnection.openSlack) { buffer, count in
                outcome = unsafe connection.open(bytes, into: UnsafeMutableRawBufferPointer(buffer))
                switch outcome {
                case .bytes(let opened), .closed(let opened): count = opened
                case .failed: count = 0
                }
            }
        }
        switch outcome {
        case .bytes: break
        case .closed: isEnded = true
        case .failed: throw fault
        }
        return plain
    }

    private func takeOutput() {
        let count = connection.outputBytes
        guard count > 0 else { return }
        output += unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, taken in
            taken = unsafe connection.takeOutput(UnsafeMutableRawBufferPointer(buffer))
        }
    }

    private var fault: TLSFault { connection.fault ?? TLSFault(message: "TLS failed") }
}
