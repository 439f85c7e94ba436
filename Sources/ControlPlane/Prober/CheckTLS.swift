// SPDX-License-Identifier: Apache-2.0
//
// TLS between a check and its socket: plaintext on one side, and on the other ciphertext that waits here until the
// socket takes it. Knows no phases of a check. The session is never resumed: a check asks for the whole handshake.

import LinuxIO
import ProxyConfig
import TLSEngine

final class CheckTLS {
    /// What came of received bytes.
    enum Opened {
        case bytes([UInt8])
        /// The last bytes, then close_notify.
        case closed([UInt8])
        case failed(String)
    }

    private let connection: TLSConnection
    /// Ciphertext that the socket has not taken.
    private var outgoing: [UInt8] = []
    private(set) var progress = TLSConnection.Progress.wantsInput

    /// Nil: no memory. The first flight waits to be sent.
    init?(_ context: TLSClientContext) {
        let name = CheckTLS.name(context.settings)
        guard let connection = TLSConnection.connect(context, name: name, resuming: nil, key: []) else { return nil }
        self.connection = connection
        shakeHands([])
    }

    deinit { connection.free() }

    /// `proxy_ssl_name` as far as it can be known without a session: one with variables gives way to the default.
    private static func name(_ settings: TLSClientSettings) -> [UInt8] {
        settings.name?.literal ?? Array(settings.defaultName.utf8)
    }

    // MARK: Handshake

    func shakeHands(_ input: ArraySlice<UInt8>) {
        progress = unsafe input.withUnsafeBytes { unsafe connection.handshake($0) }
        takeOutput()
    }

    /// Why the last call failed.
    var fault: String { connection.fault?.message ?? "no reason is known" }

    // MARK: Traffic

    /// Plaintext came with the last bytes of the handshake: `open` it without more.
    var hasInput: Bool { connection.hasInput }

    func open(_ input: ArraySlice<UInt8>) -> Opened {
        var isClosed = false
        var hasFailed = false
        let room = input.count + TLSConnection.openSlack
        let plain = unsafe [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            let opened = unsafe input.withUnsafeBytes { bytes in
                unsafe connection.open(bytes, into: UnsafeMutableRawBufferPointer(buffer))
            }
            switch opened {
            case .bytes(let number): count = number
            case .closed(let number): (count, isClosed) = (number, true)
            case .failed: hasFailed = true
            }
        }
        takeOutput()
        if hasFailed { return .failed(fault) }
        return isClosed ? .closed(plain) : .bytes(plain)
    }

    /// False: failed.
    func seal(_ plain: ArraySlice<UInt8>) -> Bool {
        let room = plain.count + TLSConnection.sealSlack
        var isSealed = true
        outgoing += unsafe [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            let sealed = unsafe plain.withUnsafeBytes { bytes in
                unsafe connection.seal(bytes, into: UnsafeMutableRawBufferPointer(buffer))
            }
            count = sealed ?? 0
            isSealed = sealed != nil
        }
        takeOutput()
        return isSealed
    }

    func closeWriting() {
        connection.closeWriting()
        takeOutput()
    }

    private func takeOutput() {
        let waiting = connection.outputBytes
        guard waiting > 0 else { return }
        outgoing += unsafe [UInt8](unsafeUninitializedCapacity: waiting) { buffer, count in
            count = unsafe connection.takeOutput(UnsafeMutableRawBufferPointer(buffer))
        }
    }

    // MARK: The socket

    var hasOutput: Bool { !outgoing.isEmpty }

    /// Sends all that waits; `wouldBlock` while some of it has to.
    func flush(to socket: Int32) throws(Errno) {
        while !outgoing.isEmpty {
            outgoing.removeFirst(try Sockets.send(socket, outgoing[...]))
        }
    }
}
