// SPDX-License-Identifier: Apache-2.0
//
// Content: what the server block does with a session that has been read far enough. `return` answers; `proxy_pass`
// names a group, or an address by variables, and a server of it is chosen here.

import Balancing
import EventLoop
import LinuxIO
import ProxyConfig
import SessionCore
import SharedState
import TLSEngine
import Vocabulary

extension Worker where K: ~Copyable {
    mutating func route(_ slot: Int) {
        let settings = settingsTable[sessions[slot].settings]
        enterZone(slot)
        endWaiting(slot)
        sessions[slot].firstTryAt = kernel.nowMilliseconds
        switch settings.server.content {
        case .respond(let text):
            respond(slot, with: value(of: text, for: slot))
        case .proxy(let upstream):
            sessions[slot].group = Int32(upstream)
            tryNext(slot)
        case .proxyByName(let template):
            routeByName(slot, value(of: template, for: slot))
        case .pass(let address):
            pass(slot, to: value(of: address, for: slot))
        }
    }

    // MARK: - `return`

    private mutating func respond(_ slot: Int, with text: [UInt8]) {
        sessions[slot].machine.respond()
        letGoOfRouting(slot)
        guard !text.isEmpty else { return close(slot, .returned) }
        sessions[slot].download.plainPending = UInt32(clamping: text.count)
        var isKept = unsafe text.withUnsafeBytes { bytes in unsafe appendSealed(bytes, .download, of: slot) }
        if let tls = sessions[slot].clientTLS {
            // The end goes with the text, however little room there is.
            tls.closeWriting()
            isKept = isKept && sessions[slot].download.own.append(tls.output())
        }
        guard isKept else { return close(slot, .outOfResources) }
        let settings = settingsTable[sessions[slot].settings]
        sessions[slot].phaseDeadline = kernel.nowMilliseconds + UInt64(settings.server.idleTimeoutMilliseconds)
        armTimer(slot)
        sendResponse(slot)
    }

    private mutating func sendResponse(_ slot: Int) {
        let offset = sessions[slot].memoryOffset
        let own = sessions[slot].download.own
        let count = Int(own.count - offset)
        unsafe kernel.queueSend(
            socket: sessions[slot].client, bytes: own.pointer(at: offset), count: count, mode: .waiting,
            token: begin(.sendClient, of: slot))
    }

    mutating func responseSent(_ completion: Completion, of slot: Int) {
        guard completion.result > 0 else { return close(slot, .clientReset) }
        sessions[slot].memoryOffset += UInt32(completion.result)
        let isSealed = sessions[slot].clientTLS != nil
        if !isSealed { sessions[slot].download.sent += UInt64(completion.result) }
        if sessions[slot].memoryOffset < sessions[slot].download.own.count {
            sendResponse(slot)
        } else {
            if isSealed { sessions[slot].download.sent = UInt64(sessions[slot].download.plainPending) }
            sessions[slot].download.own.free()
            close(slot, .returned)
        }
    }

    // MARK: - `proxy_pass` with variables

    private mutating func routeByName(_ slot: Int, _ name: [UInt8]) {
        let text = String(decoding: name, as: UTF8.self)
        guard let routing = sessions[slot].routing else { preconditionFailure("a session routes without a generation") }
        if let group = generations[routing].groupByName[text] {
            sessions[slot].group = Int32(group)
            tryNext(slot)
            return
        }
        let endpoint: Endpoint
        switch ProxyTarget(text) {
        case .address(let address): endpoint = address
        case .nameOnly(let host):
            logSession(
                .error, slot,
                "no resolver defined to resolve \(host); proxy_pass may name an upstream group or an address")
            return close(slot, .internalError)
        case .noPort:
            logSession(.error, slot, "no port in upstream \"\(text)\"")
            return close(slot, .internalError)
        }
        guard let address = try? SocketAddress(endpoint) else {
            logSession(.error, slot, "the path in upstream \"\(text)\" is too long for a unix socket")
            return close(slot, .internalError)
        }
        sessions[slot].tries += 1
        connect(slot, to: address)
    }

    // MARK: - Choosing a server

    /// Chooses a server among those that this session has not tried, and connects to it.
    mutating func tryNext(_ slot: Int) {
        if sessions[slot].triesIndex < 0 { sessions[slot].triesIndex = tries.take() }
        guard let routing = sessions[slot].routing else { preconditionFailure("a session routes without a generation") }
        let group = generations[routing].groups[Int(sessions[slot].group)]
        guard let index = choose(from: group, for: slot) else {
            logSession(.error, slot, "no live upstreams while connecting to upstream")
            // nginx lists the group's name as the address of this try.
            _ = sessions[slot].failedTries.append(FailedTry.record(milliseconds: 0, address: Array(group.name.utf8)))
            return close(slot, .noBroker)
        }
        sessions[slot].peerIndex = Int32(index)
        sessions[slot].peer = group.members[index].slot
        sessions[slot].tries += 1
        connect(slot, to: group.members[index].address)
    }

    /// One choice, under the group's lock, so that workers share one sequence: weights, failures and session counts are
    /// copied out, the policy decides, and what it changed is written back. The session counts from here on.
    private mutating func choose(from group: Group, for slot: Int) -> Int? {
        var key: [UInt8] = []
        swap(&key, &line)
        key.removeAll(keepingCapacity: true)
        if let template = group.key { append(template, of: slot, to: &key) }
        defer { swap(&key, &line) }

        var memory = tries[sessions[slot].triesIndex]
        region.lock(group.slot, pid: identity.processID)
        defer { region.unlock(group.slot, pid: identity.processID) }
        let index = chooseAlone(from: group, key, &memory) ?? chooseAmongAll(of: group, key, &memory)
        tries[sessions[slot].triesIndex] = memory
        if let index {
            region.addSession(identity.slot, group.members[index].slot)
            region.noteSelected(identity.slot, group.members[index].slot, now: kernel.nowMilliseconds)
        }
        return index
    }

    /// The one server that a ring names, if it may be chosen: the others are not looked at, however many.
    private func chooseAlone(from group: Group, _ key: [UInt8], _ memory: inout ClientTries) -> Int? {
        guard let index = Balancer.preferred(group.method, key: key.span, tries: memory) else { return nil }
        var state = peerState(index, of: group)
        let isTaken = Balancer.take(
            index, peer: &state, tries: &memory, now: Int64(kernel.nowMilliseconds / 1000))
        guard isTaken else { return nil }
        writeBack(state, index, of: group)
        return index
    }

    private mutating func chooseAmongAll(of group: Group, _ key: [UInt8], _ memory: inout ClientTries) -> Int? {
        peerStates.removeAll(keepingCapacity: true)
        for index in group.members.indices { peerStates.append(peerState(index, of: group)) }
        let index = Balancer.choose(
            group.method, key: key.span, peers: &peerStates, tries: &memory,
            now: Int64(kernel.nowMilliseconds / 1000), random: &random)
        for index in group.members.indices { writeBack(peerStates[index], index, of: group) }
        return index
    }

    /// Most policies change one peer or none; a line that is not written is not taken from other processors.
    private func writeBack(_ state: PeerState, _ index: Int, of group: Group) {
        let window = PeerWindow(state)
        if window != region.loadWindow(group.members[index].slot) { region.store(window, group.members[index].slot) }
    }

    /// Reads single fields: a member is 200 bytes, and a copy of each would be felt.
    func peerState(_ index: Int, of group: Group) -> PeerState {
        var state = group.members[index].template
        let slot = group.members[index].slot
        let window = region.loadWindow(slot)
        state.effectiveWeight = min(window.effectiveWeight, state.weight)
        state.currentWeight = window.currentWeight
        state.fails = window.fails
        state.accessedSeconds = window.accessedSeconds
        state.checkedSeconds = window.checkedSeconds
        state.sessions = UInt32(clamping: region.activeSessions(slot))
        if region.health(slot) != .up { state.flags.insert(.unhealthy) }
        switch region.adminState(slot) {
        case .none: break
        case .down: state.flags.insert(.down)
        case .draining: state.flags.insert(.draining)
        }
        let slowStart = group.members[index].slowStartMilliseconds
        if slowStart > 0 {
            let now = ReportMoment(
                monotonicMilliseconds: kernel.nowMilliseconds, wallMilliseconds: kernel.wallMilliseconds)
            state.share = SlowStart.share(
                elapsed: region.millisecondsBack(slot, at: now), of: slowStart)
        }
        return state
    }

    /// The session has chosen, or ends: what choosing needed goes.
    mutating func letGoOfRouting(_ slot: Int) {
        if sessions[slot].triesIndex >= 0 {
            tries.giveBack(sessions[slot].triesIndex)
            sessions[slot].triesIndex = -1
        }
        guard let routing = sessions[slot].routing else { return }
        sessions[slot].routing = nil
        letGoOfGeneration(routing)
    }

    mutating func letGoOfGeneration(_ index: Int) {
        if let freed = generations.letGo(index) { retired.append(freed) }
    }
}

/// What a `proxy_pass` that was put together from variables may say, besides a group's name.
enum ProxyTarget {
    case address(Endpoint)
    /// A host name, which would have to be resolved.
    case nameOnly(String)
    case noPort

    init(_ text: String) {
        if text.hasPrefix("unix:") {
            self = .address(.unix(String(text.dropFirst(5))))
            return
        }
        guard let colon = text.lastIndex(of: ":"), text.last != "]",
            let port = UInt16(text[text.index(after: colon)...]), port > 0
        else {
            self = .noPort
            return
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        if let address = IPAddress(text: String(host)) {
            self = .address(.ip(IPEndpoint(address: address, port: port)))
        } else {
            self = .nameOnly(String(host))
        }
    }
}
