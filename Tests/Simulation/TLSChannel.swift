// SPDX-License-Identifier: Apache-2.0
//
// TLS as an actor speaks it: OpenSSL between its words and its socket. It can be as rude as the seed wants: records cut
// anywhere, a connection that breaks after so many bytes, an end without close_notify, bytes behind one.

import CTestTLS
import LinuxIO

@safe final class TLSChannel {
    /// What it says last, before FIN.
    enum Goodbye {
        case closeNotify
        /// Nothing: the other side must take it for a cut.
        case nothing
        /// close_notify, and then more bytes, which nobody may get.
        case bytesBehind
        /// close_notify, and no FIN.
        case staysOpen
        /// Bytes that are no record.
        case nonsense
    }
    enum Breaking { case resets, closes, vanishes }

    /// How a peer was drawn.
    struct Manners {
        var goodbye = Goodbye.closeNotify
        /// The connection breaks when so many bytes of ciphertext are written, wherever in a record that is.
        var bytesMax = Int.max
        var breaking = Breaking.resets
        var changesKeys = false
        /// A plaintext of this many bytes, at most, in a record.
        var recordBytesMax = 16 * 1024
        /// Of 100: how often only a part of what is to be written is.
        var chanceOfCut = 10
    }

    private static let nothingYet = -11

    private let peer: UnsafeMutableRawPointer
    private let socket: SimulatedSocket
    private let world: World
    let manners: Manners
    /// Ciphertext on its way out.
    private var outgoing: [UInt8] = []
    private var writtenBytes = 0
    /// The rest of a piece that was cut goes then.
    private(set) var resumesAt: UInt64 = 0
    private(set) var isOpen = false
    private(set) var hasFailed = false
    /// The other side has said close_notify.
    private(set) var isOtherClosed = false
    private var hasSaidGoodbye = false
    /// close_notify was the last word, whether or not it got as far as the socket.
    var hasBegunToClose: Bool {
        switch manners.goodbye {
        case .closeNotify, .staysOpen, .bytesBehind: hasSaidGoodbye
        case .nothing, .nonsense: false
        }
    }
    /// close_notify is in the socket, whole.
    private(set) var hasClosed = false
    /// The common name of the certificate that the other side showed.
    private(set) var otherName = ""
    private(set) var isResumed = false

    init(
        context: TLSPeerContext, name: String?, resumes: Bool, manners: Manners, socket: SimulatedSocket, world: World
    ) {
        unsafe peer = ctt_peer_new(context.pointer, name, resumes ? 1 : 0)
        self.socket = socket
        self.world = world
        self.manners = manners
        world.channelsAlive += 1
        handshake()
    }

    deinit {
        unsafe ctt_client_free(peer)
        world.channelsAlive -= 1
    }

    /// It went as far as it was meant to go.
    var isBroken: Bool { writtenBytes >= manners.bytesMax }
    var isDrained: Bool { outgoing.isEmpty }

    // MARK: - Reading

    enum Answer {
        case bytes([UInt8])
        /// close_notify.
        case end
        /// FIN without one.
        case cut
        case error
        case wouldBlock
    }

    /// Reads so many bytes of ciphertext, and opens what is there.
    func read(_ countMax: Int) -> Answer {
        if isOtherClosed { return .end }
        switch socket.read(countMax) {
        case .bytes(let bytes):
            world.touched(socket.peer)
            unsafe Array(bytes).withUnsafeBytes { unsafe ctt_client_feed(peer, $0.baseAddress, $0.count) }
            return opened()
        case .end: return .cut
        case .error: return .error
        case .wouldBlock: return .wouldBlock
        }
    }

    private func opened() -> Answer {
        if !isOpen { handshake() }
        guard !hasFailed else { return .error }
        guard isOpen else { return .bytes([]) }
        var plain: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = unsafe piece.withUnsafeMutableBytes {
                unsafe Int(ctt_peer_read(peer, $0.baseAddress, $0.count))
            }
            switch count {
            case 1...: plain += piece[..<count]
            case -1:
                isOtherClosed = true
                takeOutgoing()
                return plain.isEmpty ? .end : .bytes(plain)
            case 0:
                takeOutgoing()
                return .bytes(plain)
            default:
                takeOutgoing()
                hasFailed = true
                return plain.isEmpty ? .error : .bytes(plain)
            }
        }
    }

    private func handshake() {
        switch unsafe ctt_peer_handshake(peer) {
        case 1:
            isOpen = true
            unsafe isResumed = ctt_peer_is_resumed(peer) == 1
            otherName = unsafe String(unsafeUninitializedCapacity: 256) { buffer in
                unsafe buffer.withMemoryRebound(to: CChar.self) { unsafe ctt_peer_name(peer, $0.baseAddress, $0.count) }
            }
        case 0: break
        default: hasFailed = true
        }
        takeOutgoing()
    }

    // MARK: - Writing

    private func takeOutgoing() {
        var piece = [UInt8](repeating: 0, count: 18 * 1024)
        while true {
            let count = unsafe piece.withUnsafeMutableBytes { unsafe ctt_client_take(peer, $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            outgoing += piece[..<count]
        }
    }

    /// Seals a record's worth once the former one is on its way. How many bytes of plaintext it took, or -errno.
    func write(_ bytes: ArraySlice<UInt8>) -> Int {
        let error = flush()
        guard error == 0 else { return error }
        guard isOpen, isDrained, !hasFailed, !isBroken else { return Self.nothingYet }
        if manners.changesKeys, world.chance(10) { _ = unsafe ctt_client_update_key(peer) }
        let part = Array(bytes.prefix(world.draw(1...manners.recordBytesMax)))
        let count = unsafe part.withUnsafeBytes { unsafe Int(ctt_client_write(peer, $0.baseAddress, $0.count)) }
        guard count == part.count else {
            hasFailed = true
            return -Int(Errno.connectionReset.rawValue)
        }
        takeOutgoing()
        let status = flush()
        return status == 0 ? count : status
    }

    /// Writes what the socket takes. 0, or -errno.
    func flush() -> Int {
        while !outgoing.isEmpty, !isBroken, resumesAt <= world.now {
            var count = min(outgoing.count, manners.bytesMax - writtenBytes)
            let isCut = world.chance(manners.chanceOfCut)
            if isCut { count = world.draw(1...count) }
            let taken = socket.write(outgoing[..<count])
            if taken == Self.nothingYet { return 0 }
            guard taken >= 0 else { return taken }
            outgoing.removeFirst(taken)
            writtenBytes += taken
            world.touched(socket.peer)
            if isCut, !outgoing.isEmpty, let actor = socket.actor {
                resumesAt = world.now + world.pause(1...20)
                world.schedule(actor, at: resumesAt)
            }
        }
        return 0
    }

    /// The last words. True once all is in the socket.
    func sayGoodbye() -> Bool {
        guard flush() == 0, isDrained else { return false }
        guard isOpen, !hasFailed else { return true }
        if !hasSaidGoodbye {
            hasSaidGoodbye = true
            switch manners.goodbye {
            case .nothing: break
            case .nonsense: outgoing = [UInt8](repeating: 0x7F, count: 40)
            case .closeNotify, .staysOpen, .bytesBehind:
                unsafe ctt_peer_close(peer)
                takeOutgoing()
                if case .bytesBehind = manners.goodbye { outgoing += world.noise(world.draw(1...2000)) }
            }
        }
        guard flush() == 0, isDrained else { return false }
        switch manners.goodbye {
        case .closeNotify, .staysOpen, .bytesBehind: hasClosed = true
        case .nothing, .nonsense: break
        }
        return true
    }
}

/// A context of OpenSSL that actors share.
@safe final class TLSPeerContext {
    let pointer: UnsafeMutableRawPointer

    init(isServer: Bool, version: Int32, chain: [UInt8]? = nil, key: [UInt8]? = nil) {
        let text = (chain ?? []).map { CChar(bitPattern: $0) } + [0]
        let secret = (key ?? []).map { CChar(bitPattern: $0) } + [0]
        let made =
            chain == nil
            ? unsafe ctt_context_new(isServer ? 1 : 0, version, nil, nil)
            : unsafe ctt_context_new(isServer ? 1 : 0, version, text, secret)
        guard let made = unsafe made else { preconditionFailure("OpenSSL takes no certificate of the simulation's") }
        unsafe pointer = unsafe made
    }

    deinit { unsafe ctt_context_free(pointer) }
}
