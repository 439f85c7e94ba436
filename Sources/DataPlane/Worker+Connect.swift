// SPDX-License-Identifier: Apache-2.0
//
// Connecting to the chosen server: socket, connect, and the CONNECT that was read before, sent as soon as the
// connection stands (linked, so that it costs no turn of its own; with `proxy_ssl` there is a handshake between). A
// failure counts against the server and leads to the next one, within the limits of `proxy_next_upstream`.

import Balancing
import EventLoop
import LinuxIO
import ProxyConfig
import SessionCore
import SharedState
import Vocabulary

extension Worker where K: ~Copyable {
    mutating func connect(_ slot: Int, to address: SocketAddress) {
        let settings = settingsTable[sessions[slot].settings]
        let now = kernel.nowMilliseconds
        sessions[slot].machine.connect()
        sessions[slot].brokerEndpoint = address.endpoint
        sessions[slot].connectStartedAt = now
        sessions[slot].connectTime = nil
        sessions[slot].firstByteTime = nil
        sessions[slot].connectError = 0

        var request = BrokerSocketRequest(address: address)
        request.isTCPNoDelay = settings.server.isTCPNoDelay
        request.isKeepAlive = settings.server.isUpstreamKeepAlive
        request.receiveBufferBytes = Int32(clamping: settings.server.upstreamReceiveBufferBytes ?? 0)
        request.sendBufferBytes = Int32(clamping: settings.server.upstreamSendBufferBytes ?? 0)
        if let bind = settings.server.proxyBind {
            let text = String(decoding: value(of: bind.address, for: slot), as: UTF8.self)
            guard let local = IPEndpoint(bindText: text) else {
                logSession(.error, slot, "invalid local address \"\(text)\" in proxy_bind")
                return close(slot, .internalError)
            }
            request.bindTo = local
            request.isTransparent = bind.isTransparent
        }
        let broker = kernel.openBrokerSocket(request)
        guard broker >= 0 else {
            return socketFailed(slot, Errno(rawValue: -broker), request)
        }
        sessions[slot].broker = broker
        brokerSocketCount += 1
        sessions[slot].phaseDeadline = now + UInt64(settings.server.connectTimeoutMilliseconds)
        armTimer(slot)

        let preread = sessions[slot].preread
        let isPlain = settings.server.proxyTLS == nil
        kernel.queueConnect(
            socket: broker, address: address, linksNext: isPlain && !preread.isEmpty, token: begin(.connect, of: slot))
        if isPlain && !preread.isEmpty {
            unsafe kernel.queueSend(
                socket: broker, bytes: preread.pointer(at: 0), count: Int(preread.count), mode: .waiting,
                token: begin(.sendBroker, of: slot))
        }
    }

    /// What is no lack of descriptors or memory was `proxy_bind`'s doing: an address of another machine, ports used up.
    private mutating func socketFailed(_ slot: Int, _ error: Errno, _ request: BrokerSocketRequest) {
        let lacks: [Errno] = [.descriptorsUsedUp, .systemTableFull, .outOfMemory, .noBuffers]
        if let local = request.bindTo, !lacks.contains(error) {
            logSession(
                .crit, slot, "bind(\(local.text)) failed (\(error.numberedText)) while connecting to upstream")
            return close(slot, .internalError)
        }
        logSession(.crit, slot, "socket() to upstream failed (\(error.numberedText)) while connecting to upstream")
        close(slot, .outOfResources)
    }

    /// The connect, or the send that is linked to it, came back while connecting.
    mutating func connectStepCompleted(_ operation: Operation, _ completion: Completion, of slot: Int) {
        if operation == .connect {
            if completion.result >= 0 {
                connected(slot)
                return
            }
            if sessions[slot].connectError == 0 { sessions[slot].connectError = -completion.result }
        }
        // The linked send of a failed connect comes back canceled; only then the session may try another server.
        guard sessions[slot].connectError != 0, sessions[slot].machine.inFlight.isEmpty else { return }
        connectFailed(slot, Errno(rawValue: sessions[slot].connectError))
    }

    mutating func connectTimedOut(_ slot: Int) {
        sessions[slot].connectError = Errno.timedOut.rawValue
        kernel.queueCancel(target: token(.connect, of: slot))
    }

    private mutating func connected(_ slot: Int) {
        let now = kernel.nowMilliseconds
        let milliseconds = now - sessions[slot].connectStartedAt
        sessions[slot].connectTime = UInt32(clamping: milliseconds)
        countConnected(slot, milliseconds: milliseconds)
        sessions[slot].lastActivityAt = now
        if logs(.info, of: slot) { logProxyConnected(slot) }
        if let context = settingsTable[sessions[slot].settings].proxyTLS {
            secure(slot, context)
        } else {
            ready(slot)
        }
    }

    /// The broker can be talked to.
    mutating func ready(_ slot: Int) {
        sessions[slot].machine.forward()
        noteSuccess(slot)
        letGoOfRouting(slot)
        logEstablished(slot)
        startForwarding(slot, settingsTable[sessions[slot].settings])
    }

    private mutating func connectFailed(_ slot: Int, _ error: Errno) {
        if error == .timedOut && kernel.nowMilliseconds >= sessions[slot].phaseDeadline {
            logSession(.error, slot, "upstream timed out (\(error.numberedText)) while connecting to upstream")
        } else {
            logSession(.error, slot, "connect() failed (\(error.numberedText)) while connecting to upstream")
        }
        tryFailed(slot, error == .timedOut ? .connectTimeout : .connectFailed)
    }

    /// Counts against the server; another one is tried, or the session ends for `reason`. Nothing is in the kernel.
    mutating func tryFailed(_ slot: Int, _ reason: CloseReason) {
        noteFailure(slot)
        guard mayTryNext(slot) else { return close(slot, reason) }
        recordFailedTry(slot)
        kernel.queueClose(descriptor: sessions[slot].broker)
        brokerSocketCount -= 1
        sessions[slot].broker = -1
        sessions[slot].machine.retry()
        tryNext(slot)
    }

    private func mayTryNext(_ slot: Int) -> Bool {
        let settings = settingsTable[sessions[slot].settings]
        guard settings.server.nextUpstream, sessions[slot].group >= 0, let routing = sessions[slot].routing, !isStopping
        else { return false }
        let peers = generations[routing].groups[Int(sessions[slot].group)].members.count
        let triesMax = settings.server.nextUpstreamTries == 0 ? peers : min(peers, settings.server.nextUpstreamTries)
        guard Int(sessions[slot].tries) < triesMax else { return false }
        let timeout = UInt64(settings.server.nextUpstreamTimeoutMilliseconds)
        return timeout == 0 || kernel.nowMilliseconds - sessions[slot].firstTryAt < timeout
    }

    private mutating func recordFailedTry(_ slot: Int) {
        var address: [UInt8] = []
        appendBrokerAddress(of: slot, to: &address)
        let spent = UInt32(clamping: kernel.nowMilliseconds - sessions[slot].connectStartedAt)
        // Without memory the log misses a try; the session goes on.
        _ = sessions[slot].failedTries.append(FailedTry.record(milliseconds: spent, address: address))
        leavePeer(slot)
        sessions[slot].peer = nil
        sessions[slot].brokerEndpoint = nil
    }

    // MARK: - Passive health

    private mutating func noteFailure(_ slot: Int) {
        guard let peer = sessions[slot].peer, let routing = sessions[slot].routing else { return }
        let group = generations[routing].groups[Int(sessions[slot].group)]
        region.countConnectFailed(identity.slot, peer)
        region.lock(group.slot, pid: identity.processID)
        var state = peerState(Int(sessions[slot].peerIndex), of: group)
        let isOut = state.noteFailure(
            now: Int64(kernel.nowMilliseconds / 1000), isOnlyPeer: group.members.count == 1)
        region.store(PeerWindow(state), peer)
        if state.isInFailureWindow(now: state.checkedSeconds), group.members.count > 1 {
            let end = UInt64(state.checkedSeconds + state.failTimeoutSeconds + 1) * 1000
            region.noteOut(identity.slot, peer, now: kernel.nowMilliseconds, until: end)
        }
        region.unlock(group.slot, pid: identity.processID)
        guard isOut else { return }
        let action = sessions[slot].machine.state == .securing ? "SSL handshaking" : "connecting"
        logSession(.warn, slot, "upstream server temporarily disabled while \(action) to upstream")
    }

    private mutating func noteSuccess(_ slot: Int) {
        guard let peer = sessions[slot].peer, let routing = sessions[slot].routing,
            region.loadWindow(peer).fails > 0
        else { return }
        let group = generations[routing].groups[Int(sessions[slot].group)]
        region.lock(group.slot, pid: identity.processID)
        var state = peerState(Int(sessions[slot].peerIndex), of: group)
        let isBack = state.noteSuccess()
        region.store(PeerWindow(state), peer)
        if isBack { region.noteBack(peer, now: kernel.nowMilliseconds) }
        region.unlock(group.slot, pid: identity.processID)
        if isBack { logSession(.notice, slot, "upstream server is back after a successful connect") }
    }

    private mutating func logProxyConnected(_ slot: Int) {
        var message: [UInt8] = []
        message.append(utf8: "proxy ")
        if let local = kernel.localAddress(of: sessions[slot].broker) {
            local.write(to: &message)
        } else {
            message.append(utf8: "unix:")
        }
        message.append(utf8: " connected to ")
        appendBrokerAddress(of: slot, to: &message)
        logSession(.info, slot, bytes: message, withContext: false)
    }
}

extension PeerWindow {
    init(_ state: PeerState) {
        self.init(
            fails: state.fails, accessedSeconds: state.accessedSeconds, checkedSeconds: state.checkedSeconds,
            effectiveWeight: state.effectiveWeight, currentWeight: state.currentWeight)
    }
}

extension IPEndpoint {
    /// `proxy_bind` takes an address, with a port or without: `127.0.0.1`, `127.0.0.1:0`, `::1`, `[::1]:0`.
    fileprivate init?(bindText text: String) {
        if let address = IPAddress(text: text) {
            self.init(address: address, port: 0)
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            guard text.hasPrefix("["), text.hasSuffix("]"),
                let address = IPAddress(text: String(text.dropFirst().dropLast()))
            else { return nil }
            self.init(address: address, port: 0)
            return
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard let address = IPAddress(text: String(host)) else { return nil }
        self.init(address: address, port: port)
    }
}
