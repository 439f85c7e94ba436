// SPDX-License-Identifier: Apache-2.0
//
// One side of one connection: bytes in, bytes out, in memory that the caller lends for one call. It knows no socket
// and no clock but OpenSSL's own. What the peer's TCP end means is the caller's to say: a FIN before close_notify is a
// truncation.

import CTLS
import ProxyConfig

/// A plain handle, copied freely; the owner calls `free` once.
@safe package struct TLSConnection: BitwiseCopyable {
    let handle: OpaquePointer

    private init(_ handle: OpaquePointer) { unsafe self.handle = unsafe handle }

    // MARK: Life

    /// The server's side. `isChoosingByName`: the handshake stops once at `.choose` when the client names a server.
    /// Nil: no memory.
    package static func accept(_ context: TLSServerContext, isChoosingByName: Bool) -> TLSConnection? {
        unsafe ctls_accept(context.handle.pointer, isChoosingByName ? 1 : 0).map { unsafe TLSConnection($0) }
    }

    /// The client's side. `name` is verified where the settings say so, and sent where they say so and it is no
    /// address. `key`, such as the peer's address and the name, finds a session in `store` and takes the next one.
    package static func connect(
        _ context: TLSClientContext, name: [UInt8], resuming store: TLSSessionStore?, key: [UInt8]
    ) -> TLSConnection? {
        let sendsName: Int32 = context.settings.sendsServerName ? 1 : 0
        return unsafe ctls_connect(
            context.handle.pointer, name, name.count, sendsName, unsafe store?.handle, key, key.count
        ).map { unsafe TLSConnection($0) }
    }

    package func free() { unsafe ctls_connection_free(handle) }

    // MARK: Handshake

    package enum Progress: Equatable {
        case done
        case wantsInput
        /// A ClientHello is here and `requestedName` says whom it asks for: `use` a context, or leave the one that is
        /// there, then `handshake` again without input.
        case choose
        /// `provide` a certificate for each template, then `handshake` again without input.
        case wantsCertificate
        /// `fault` says why; what waits in `outputBytes` may be an alert for the peer.
        case failed
    }

    /// Takes all of `input` and goes on with the handshake. Output gathers inside, whatever the progress.
    package func handshake(_ input: UnsafeRawBufferPointer) -> Progress {
        switch unsafe Int(ctls_handshake(handle, input.baseAddress, input.count)) {
        case CTLS_DONE: .done
        case CTLS_WANTS_INPUT: .wantsInput
        case CTLS_CHOOSE: .choose
        case CTLS_WANTS_CERTIFICATE: .wantsCertificate
        default: .failed
        }
    }

    /// The server that the ClientHello asks for, as sent, at most 255 bytes, while the handshake goes on.
    package var requestedName: [UInt8]? {
        var count = 0
        guard let name = unsafe ctls_requested_name(handle, &count) else { return nil }
        return unsafe Array(UnsafeBufferPointer(start: name, count: count))
    }

    /// After `.choose`: another server answers. False: no memory.
    package func use(_ context: TLSServerContext) -> Bool {
        unsafe ctls_use_context(handle, context.handle.pointer) == 0
    }

    /// After `.wantsCertificate`, once for each template; on the client's side, before the first `handshake`.
    package func provide(_ pair: TLSKeyPair) throws(TLSFault) {
        try check(unsafe ctls_use_pair_certificate(handle, pair.handle), "SSL_use_certificate() failed")
        try check(unsafe ctls_use_pair_key(handle, pair.handle), "SSL_use_PrivateKey() failed")
    }

    package func provide(chain: [UInt8], key: [UInt8], passphrases: [[UInt8]]) throws(TLSFault) {
        try provide(TLSKeyPair(chain: chain, key: key, passphrases: passphrases))
    }

    /// After the last `provide`; there may have been none.
    package func provideNoMore() { unsafe ctls_use_no_more_pairs(handle) }

    /// After the server's handshake: nil when the client may go on, else nginx's words. Its session is forgotten.
    package var clientRefusal: String? { unsafe refusal(nil) }

    /// The same by the wishes of a server to which the session has been handed on.
    package func clientRefusal(by server: TLSServerContext) -> String? { unsafe refusal(server.handle.pointer) }

    private func refusal(_ context: OpaquePointer?) -> String? {
        let words = unsafe String(unsafeUninitializedCapacity: 256) { buffer in
            unsafe buffer.withMemoryRebound(to: CChar.self) { text in
                unsafe ctls_client_refusal(handle, context, text.baseAddress!, text.count)
            }
        }
        return words.isEmpty ? nil : words
    }

    /// Whether this handshake was an abbreviated one.
    package var isReused: Bool { unsafe ctls_is_reused(handle) != 0 }

    /// Lines for the key log of this connection's context, since the last call. Nil: none.
    package func takeKeyLog() -> [UInt8]? {
        let count = unsafe ctls_key_log_bytes(handle)
        guard count > 0 else { return nil }
        return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            unsafe buffer.withMemoryRebound(to: CChar.self) { text in
                initialized = unsafe ctls_take_key_log(handle, text.baseAddress!, text.count)
            }
        }
    }

    // MARK: Traffic

    /// Ciphertext that waits inside: flights of the handshake, alerts, tickets, answers to KeyUpdate.
    package var outputBytes: Int { unsafe ctls_output_bytes(handle) }

    /// Moves as much as fits; the memory inside goes with the last byte.
    package func takeOutput(_ into: UnsafeMutableRawBufferPointer) -> Int {
        unsafe ctls_take_output(handle, into.baseAddress, into.count)
    }

    /// All that waits. It goes on waiting: for a send that may take a part, which `dropOutput` is told.
    package var waitingOutput: [UInt8] {
        let count = outputBytes
        guard count > 0 else { return [] }
        return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            unsafe initialized = ctls_peek_output(handle, buffer.baseAddress, buffer.count)
        }
    }

    package func dropOutput(_ count: Int) { unsafe ctls_drop_output(handle, count) }

    package enum Opened: Equatable {
        /// Plaintext written: may be none, for a part of a record, a ticket, a KeyUpdate.
        case bytes(Int)
        /// Plaintext, then close_notify. Nothing is read after it.
        case closed(Int)
        case failed
    }

    /// Decrypts all of `input` into `output`. With `output.count >= input.count + openSlack` everything fits, but for
    /// the first call after the handshake, when `hasInput` says whether another call, without input, has more.
    package func open(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Opened {
        var count = 0
        let result = unsafe ctls_open(
            handle, input.baseAddress, input.count, output.baseAddress, output.count, &count)
        switch Int(result) {
        case CTLS_OPENED: return .bytes(count)
        case CTLS_CLOSED: return .closed(count)
        default: return .failed
        }
    }

    /// The largest record that can wait inside for its last byte.
    package static let openSlack = 17 * 1024

    /// Bytes that came already may hold plaintext: they came with the end of the handshake, or did not fit.
    package var hasInput: Bool { unsafe ctls_has_input(handle) != 0 }

    /// What waits inside, then `plain` encrypted. With `output.count >= plain.count + sealSlack` everything fits that a
    /// peer can ask for in ordinary traffic; what does not fit waits, and `outputBytes` tells. Where the peer has sent
    /// a message in part, `plain` waits for the `open` that brings the rest. Nil: failed.
    package func seal(_ plain: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int? {
        let count = unsafe ctls_seal(handle, plain.baseAddress, plain.count, output.baseAddress, output.count)
        return count < 0 ? nil : Int(count)
    }

    /// Headers and tags of three records, and two tickets with a client's certificate in them.
    package static let sealSlack = 4 * 1024

    /// Adds close_notify to what waits, once; nothing may be sealed after it. Reading goes on.
    package func closeWriting() { unsafe ctls_close_writing(handle) }

    // MARK: Faults

    /// Why the last call failed.
    package var fault: TLSFault? {
        guard let words = unsafe ctls_fault(handle) else { return nil }
        return unsafe TLSFault(message: String(cString: words))
    }

    /// The peer's doing, by nginx's list: logged at `info`, else at `crit`.
    package var isClientFault: Bool { unsafe ctls_is_peer_fault(handle) != 0 }

    // MARK: Variables

    /// Appends the value of an `ssl_…` variable; false: it has none.
    package func append(_ variable: BuiltinVariable, to bytes: inout [UInt8]) -> Bool {
        guard let which = variable.engineVariable else { return false }
        var count = 0
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 512) { buffer in
            count = unsafe ctls_variable(handle, which, buffer.baseAddress, buffer.count)
            if count <= buffer.count {
                unsafe bytes.append(contentsOf: UnsafeBufferPointer(rebasing: buffer[..<count]))
            }
        }
        if count > 512 {
            unsafe bytes.append(
                contentsOf: [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
                    initialized = unsafe min(count, ctls_variable(handle, which, buffer.baseAddress, count))
                })
        }
        return count > 0
    }
}
