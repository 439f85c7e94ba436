// SPDX-License-Identifier: Apache-2.0
//
// Listeners and new connections: accept, the session's record, `allow`/`deny`, `set`, and on to preread or content.
// A worker that has no room or no descriptor says so once a while, and accepts again as soon as it can.

import EventLoop
import LinuxIO
import ProxyConfig
import SessionCore
import SharedState
import TLSEngine
import Vocabulary

/// A listening socket of this worker. Entries stay when a listener is gone, for a live session's log lines name it;
/// there are only as many as addresses were ever configured.
struct ListenerState {
    let endpoint: Endpoint
    let text: String
    /// -1: not listened at now.
    var descriptor: Int32
    /// The settings of its default server; held by the listener.
    var settings: UInt32
    /// The generation that the settings are of; held by the listener, so that what is still queued when a reload takes
    /// the listener away is routed by the configuration that it was accepted under.
    var generation: Int
    /// Its connections begin with a handshake.
    var isTLS = false
    var isAccepting = false
    /// Take what is queued, then close.
    var isClosing = false
}

extension Worker where K: ~Copyable {
    /// Between attempts to accept when descriptors are used up: nginx's accept_mutex_delay.
    private static var acceptPauseMilliseconds: UInt64 { 500 }
    private static var capacityLogPauseMilliseconds: UInt64 { 1000 }

    mutating func acceptEverywhere() {
        guard acceptResumesAt == nil else { return }
        for index in listeners.indices { acceptAt(index) }
    }

    mutating func acceptAt(_ index: Int) {
        let listener = listeners[index]
        guard listener.descriptor >= 0, !listener.isAccepting, !listener.isClosing else { return }
        listeners[index].isAccepting = true
        kernel.queueAccept(listener: listener.descriptor, token: acceptToken(index))
    }

    func acceptToken(_ index: Int) -> Token {
        Token(operation: Operation.accept.rawValue, generation: 0, index: UInt32(index))
    }

    mutating func acceptCompleted(_ completion: Completion) {
        let index = Int(completion.token.index)
        if completion.result >= 0 { begin(client: completion.result, at: index) }
        guard !completion.hasMore else { return }
        listeners[index].isAccepting = false
        if listeners[index].isClosing { return drainAndClose(index) }
        switch -completion.result {
        case Errno.descriptorsUsedUp.rawValue, Errno.systemTableFull.rawValue, Errno.noBuffers.rawValue,
            Errno.outOfMemory.rawValue:
            acceptFailed(Errno(rawValue: -completion.result))
        default:
            // A connection that was gone before it was accepted, or the kernel ended the multishot: go on.
            acceptAt(index)
        }
    }

    private mutating func acceptFailed(_ error: Errno) {
        region.countDescriptorsStarved(identity.slot)
        let now = kernel.nowMilliseconds
        acceptResumesAt = now + Self.acceptPauseMilliseconds
        // Each session that ends makes the next try at once; one line a second says what there is to say.
        guard acceptLogQuietUntil <= now else { return }
        acceptLogQuietUntil = now + Self.capacityLogPauseMilliseconds
        logWorker(
            .crit,
            "accept4() failed (\(error.numberedText)); accepting again in 0.5 s, or raise worker_rlimit_nofile")
    }

    /// Stops accepting at a listener; what is queued is still taken, then it is closed.
    mutating func retire(_ index: Int) {
        guard listeners[index].descriptor >= 0, !listeners[index].isClosing else { return }
        listeners[index].isClosing = true
        if listeners[index].isAccepting {
            kernel.queueCancel(target: acceptToken(index))
        } else {
            drainAndClose(index)
        }
    }

    private mutating func drainAndClose(_ index: Int) {
        while true {
            let client = kernel.acceptQueued(listener: listeners[index].descriptor)
            guard client >= 0 else { break }
            begin(client: client, at: index)
        }
        kernel.closeListener(listeners[index].descriptor)
        listeners[index].descriptor = -1
        listeners[index].isClosing = false
        settingsTable.letGo(listeners[index].settings)
        letGoOfGeneration(listeners[index].generation)
        if isQuitting { reportListenersClosed() }
    }

    // MARK: - A new session

    private mutating func begin(client: Int32, at index: Int) {
        let count = region.countAccepted(identity.slot)
        guard !isStopping, sessions.count < sessionsMax, let slot = sessions.take() else {
            refuseForCapacity(client, at: index)
            return
        }
        let now = kernel.nowMilliseconds
        let settings = listeners[index].settings
        settingsTable.hold(settings)
        let generation = listeners[index].generation
        generations.hold(generation)
        timers.prepare(slot)
        sessions[slot].client = client
        sessions[slot].listener = UInt16(index)
        sessions[slot].settings = settings
        sessions[slot].routing = generation
        sessions[slot].number = SessionID.number(worker: identity.slot.index, count: count)
        sessions[slot].startedAt = now
        sessions[slot].lastActivityAt = now
        sessions[slot].clientEndpoint = kernel.peerAddress(of: client).map {
            IPEndpoint(address: $0.address.unmapped, port: $0.port)
        }
        region.setActiveSessions(identity.slot, sessions.count)
        beginWaiting(slot)
        if !hasNames(slot) { enterZone(slot) }

        sessions[slot].machine.begin()
        if logs(.info, of: slot) { logConnected(slot) }
        enter(slot)
    }

    /// The phases that a listener's connections begin with, from access on.
    mutating func enter(_ slot: Int) {
        let settings = settingsTable[sessions[slot].settings]
        guard settings.server.accessRules.allow(sessions[slot].clientEndpoint?.address) else {
            logSession(.error, slot, "access forbidden by rule")
            close(slot, .accessDenied)
            return
        }
        guard assignVariables(of: slot) else {
            close(slot, .outOfResources)
            return
        }
        guard listeners[Int(sessions[slot].listener)].isTLS else { return enterAfterHandshake(slot) }
        // What was passed on by a listener with TLS is plaintext already, but this one may want a certificate.
        guard let tls = sessions[slot].clientTLS else { return beginHandshake(slot) }
        if let server = settingsTable[sessions[slot].settings].tls, let refusal = tls.clientRefusal(by: server) {
            logSession(.info, slot, "\(refusal) while SSL handshaking")
            countHandshake(.refused(VerifyFailure(words: refusal)), of: slot)
            return close(slot, .tlsClientRefused)
        }
        enterAfterHandshake(slot)
    }

    /// Preread, where the block asks for it, or content.
    mutating func enterAfterHandshake(_ slot: Int) {
        let settings = settingsTable[sessions[slot].settings]
        let readsHello = settings.server.readsClientHello && sessions[slot].clientTLS == nil
        if settings.server.mqttPreread != .off || readsHello {
            beginPreread(slot)
        } else {
            if sessions[slot].machine.state == .handshaking { sessions[slot].machine.route() }
            route(slot)
        }
    }

    private mutating func refuseForCapacity(_ client: Int32, at index: Int) {
        kernel.queueClose(descriptor: client)
        region.countRefused(identity.slot)
        if let zone = settingsTable[listeners[index].settings].zone { region.countDiscarded(identity.slot, zone) }
        let now = kernel.nowMilliseconds
        guard !isStopping, capacityLogQuietUntil <= now else { return }
        capacityLogQuietUntil = now + Self.capacityLogPauseMilliseconds
        let remedy = isBoundByDescriptors ? "worker_rlimit_nofile" : "worker_connections"
        logWorker(
            .alert,
            "\(sessionsMax * 2) worker_connections are not enough; new connections are closed, raise \(remedy)")
    }

    private mutating func logConnected(_ slot: Int) {
        var message: [UInt8] = []
        message.append(utf8: "client ")
        if let client = sessions[slot].clientEndpoint {
            client.write(to: &message)
        } else {
            _ = append(.builtin(.remoteAddress), of: slot, to: &message)
        }
        message.append(utf8: " connected to ")
        message.append(text: listeners[Int(sessions[slot].listener)].text)
        logSession(.info, slot, bytes: message, withContext: false)
    }
}
