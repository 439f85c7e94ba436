// SPDX-License-Identifier: Apache-2.0
//
// Devices that speak TLS, over the engine of Weir itself. It is the same for every proxy measured, and what it costs is
// the load's; a handshake takes a device about as long as a server, and the device's signature check longer.
//
// What a device reads is opened into a second buffer of the same size, which then takes the place of the first: the
// rest of the fleet sees plaintext where it always was.

import LinuxIO
import ProxyConfig
import TLSEngine
import Vocabulary

/// How a device speaks with its target.
package enum Transport: Sendable {
    case plain
    /// TLS, a full handshake each time.
    case full
    /// TLS, and a session is taken up that an earlier device was given.
    case resumed
}

/// What all devices with TLS have in common.
struct Security {
    let target: SocketAddress
    let context: TLSClientContext
    /// Nil: no memory.
    let store = TLSSessionStore(capacity: 1024)
    /// Names in the store whose sessions wait to be taken up. OpenSSL takes a session of TLS 1.3 up once, so that no
    /// two devices may share a name: one that is through hands its own on.
    var idleNames: [UInt16] = []
    var nameCount: UInt16 = 0
    var opened = [UInt8](repeating: 0, count: Fleet.receivedBytesMax + TLSConnection.openSlack)
    var sealed = [UInt8](repeating: 0, count: 64 * 1024)
    /// Connections whose ClientHello is made and waits.
    var prepared: [TLSConnection] = []

    init(target: IPEndpoint) throws(TLSFault) {
        self.target = SocketAddress(target)
        var settings = TLSClientSettings()
        settings.common.protocols = .tls13
        context = try TLSClientContext(settings)
    }

    func free() {
        for session in prepared { session.free() }
    }
}

extension Fleet {
    /// Makes the ClientHellos of the next `count` devices, so that nothing is left for them to do but to send.
    package func prepareHandshakes(_ count: Int) {
        for _ in 0..<count {
            guard let session = makeSession() else { return }
            _ = unsafe session.handshake(UnsafeRawBufferPointer(start: nil, count: 0))
            security?.prepared.append(session)
        }
    }

    /// Handshakes of the last job that took up an earlier session.
    package var resumedCount: Int { record.resumed }

    private func makeSession(name: UInt16? = nil) -> TLSConnection? {
        guard let security else { preconditionFailure("devices speak TLS to the secure target of the plan") }
        guard let name else { return .connect(security.context, name: [], resuming: nil, key: []) }
        let key = [UInt8(name >> 8), UInt8(truncatingIfNeeded: name)]
        return .connect(security.context, name: [], resuming: security.store, key: key)
    }

    func startHandshake(_ number: Int32) {
        let slot = Int(number)
        connections[slot].state = .handshaking
        if let session = security?.prepared.popLast() {
            connections[slot].session = session
            return flush(number)
        }
        if transport == .resumed {
            let idle = security!.idleNames.popLast()
            connections[slot].isResuming = idle != nil
            connections[slot].sessionName = idle ?? security!.nameCount
            if idle == nil { security!.nameCount &+= 1 }
        }
        connections[slot].session = makeSession(name: connections[slot].sessionName)
        shakeHands(number, 0)
    }

    /// `count` bytes were received.
    private func shakeHands(_ number: Int32, _ count: Int) {
        guard let session = connections[Int(number)].session else { return end(number, nil) }
        let progress = unsafe received.withUnsafeBytes { bytes in
            unsafe session.handshake(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        }
        switch progress {
        case .wantsInput: flush(number)
        case .done:
            if session.isReused {
                record.resumed += 1
            } else if connections[Int(number)].isResuming {
                tally.unresumed += 1
            }
            // The last flight goes out in front of the CONNECT.
            sendConnect(number)
        case .failed:
            tally.lastError = session.fault?.message
            end(number, nil)
        case .choose, .wantsCertificate: preconditionFailure("only a server is asked \(progress)")
        }
    }

    /// As `receive`, with what the records held in the place of the records.
    func receiveOpened(_ number: Int32) -> Received {
        let outcome = receive(number)
        guard let session = connections[Int(number)].session, case .bytes(let count) = outcome else { return outcome }
        guard connections[Int(number)].state != .handshaking else {
            shakeHands(number, count)
            return .nothing
        }
        let result = unsafe received.withUnsafeBytes { bytes in
            unsafe security!.opened.withUnsafeMutableBytes { room in
                unsafe session.open(UnsafeRawBufferPointer(rebasing: bytes[..<count]), into: room)
            }
        }
        swap(&received, &security!.opened)
        switch result {
        case .bytes(0): return .nothing
        case .closed(0): return .ended
        // After `closed`, the next read finds the end.
        case .bytes(let count), .closed(let count): return .bytes(count)
        case .failed:
            tally.lastError = session.fault?.message
            return .ended
        }
    }

    func sealAndSend(_ number: Int32, _ bytes: [UInt8]) -> Bool {
        guard let session = connections[Int(number)].session else { return false }
        let count = unsafe bytes.withUnsafeBytes { plain in
            unsafe security!.sealed.withUnsafeMutableBytes { unsafe session.seal(plain, into: $0) }
        }
        guard let count else {
            tally.lastError = session.fault?.message
            return false
        }
        return sendWhole(number, security!.sealed[..<count])
    }

    /// Sends what waits in the session.
    private func flush(_ number: Int32) {
        guard let session = connections[Int(number)].session else { return }
        let count = unsafe security!.sealed.withUnsafeMutableBytes { unsafe session.takeOutput($0) }
        if count > 0, !sendWhole(number, security!.sealed[..<count]) { end(number, nil) }
    }

    /// The device closes, and says so first where it speaks TLS.
    func hangUp(_ number: Int32) {
        if let session = connections[Int(number)].session {
            session.closeWriting()
            let count = unsafe security!.sealed.withUnsafeMutableBytes { unsafe session.takeOutput($0) }
            if count > 0 { _ = sendWhole(number, security!.sealed[..<count]) }
            if let name = connections[Int(number)].sessionName { security!.idleNames.append(name) }
        }
        close(number)
    }
}
