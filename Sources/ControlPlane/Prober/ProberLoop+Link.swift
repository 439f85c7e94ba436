// SPDX-License-Identifier: Apache-2.0
//
// The talk with the master, as LinkMessage.swift draws it: prepare, build, commit or forget.

import ControlLink
import Health
import LinuxIO
import Patterns
import ProxyConfig
import SharedState
import TLSEngine
import Vocabulary

extension ProberLoop {
    /// A master that sends and sends must not keep checks waiting.
    private static let messagesPerTurnMax = 64

    func takeMessages() throws(Errno) {
        for _ in 0..<ProberLoop.messagesPerTurnMax {
            switch try link.receive() {
            case .message(var arrival):
                take(arrival.message, arrival.takeDescriptor())
                if isEnding { return }
            case .wouldBlock: return
            case .ended:
                note(.alert, "the master process has gone, prober process exits")
                isEnding = true
                return
            case .malformed: note(.alert, "prober process got a message that it cannot read")
            }
        }
    }

    private func take(_ message: LinkMessage, _ descriptor: consuming Descriptor?) {
        switch message.kind {
        case .prepare:
            forgetPrepared()
            guard let bundle = descriptor.take() else {
                reply(.refused, message.generation, "no bundle came")
                return
            }
            prepared = PreparedHealth(generation: message.generation, bundle: bundle)
        case .log:
            guard let prepared, prepared.generation == message.generation, let log = descriptor.take() else { return }
            prepared.addLog(Int(message.index), log)
        case .build:
            guard let prepared, prepared.generation == message.generation else { return }
            do throws(Refusal) { try prepared.beginBuilding() } catch { refuse(error) }
        case .commit:
            guard prepared?.generation == message.generation, prepared?.built != nil else { return }
            commit()
        case .abort:
            if prepared?.generation == message.generation { forgetPrepared() }
        case .reopen:
            guard committed == message.generation, let number = descriptor.take() else { return }
            log?.open(Int(message.index), number)
        case .quit, .stop: isEnding = true
        // Listeners and session caches are the workers'; the others are what children say.
        case .listener, .sessionCache, .inquiry, .changed, .changeRefused, .ready, .refused, .committed,
            .listenersClosed, .change:
            return
        }
    }

    // MARK: Prepare

    func buildSlice() {
        guard let prepared, prepared.isBuilding else { return }
        do throws(Refusal) {
            switch try prepared.build(until: monotonicNanoseconds() + WorkPace.sliceNanoseconds) {
            case .more: return
            case .built(let configuration, let source): try finishBuilding(prepared, configuration, source)
            }
        } catch {
            refuse(error)
        }
    }

    private func finishBuilding(
        _ prepared: PreparedHealth, _ configuration: Configuration, _ source: BundleSource
    ) throws(Refusal) {
        let plan: HealthPlan
        var pace = WorkPace()
        do throws(PatternFault) { plan = try HealthPlan(configuration) { pace.pause() } } catch {
            throw Refusal(text: "an expression does not compile: \(error.message)")
        }
        let slots = try findSlots(plan, &pace)
        let contexts = try makeContexts(plan, &pace)
        let known = committed == nil ? leftBehind(by: plan, slots) : [:]
        var source = source
        let staplePlan = StaplePlan(configuration, from: &source, former: staplePlan) { pace.pause() }
        let newcomers = roster.newcomers(of: plan, known: known)
        for (key, state) in newcomers {
            pace.pause()
            guard let slot = slots[key], region.health(slot) != state.shared else { continue }
            region.setHealth(state.shared, slot, wallMilliseconds: wallMilliseconds(), reason: [])
        }
        let log = ChildLog(configuration, hostname: (try? Processes.hostname()) ?? "")
        prepared.moveLogs(to: log)
        prepared.built = BuiltHealth(
            log: log, plan: plan, slots: slots, contexts: contexts, staples: staplePlan, known: known,
            newcomers: newcomers)
        reply(.ready, prepared.generation)
    }

    private func findSlots(_ plan: HealthPlan, _ pace: inout WorkPace) throws(Refusal) -> [PeerKey: PeerSlot] {
        var groups: [String: GroupSlot] = [:]
        var slots: [PeerKey: PeerSlot] = [:]
        for peer in plan.peers {
            pace.pause()
            let group = groups[peer.key.group] ?? region.groupSlot(named: peer.key.group)
            groups[peer.key.group] = group
            guard let group, let slot = region.peerSlot(group: group, identity: peer.key.identity) else {
                throw Refusal(text: "\(peer.name) in upstream \"\(peer.key.group)\" has no place in the shared region")
            }
            slots[peer.key] = slot
        }
        return slots
    }

    /// Those of the committed generation go on. The master has proved them all, so that a fault here says that memory
    /// ran out.
    private func makeContexts(
        _ plan: HealthPlan, _ pace: inout WorkPace
    ) throws(Refusal) -> [Shared<TLSClientSettings>: TLSClientContext] {
        var made: [Shared<TLSClientSettings>: TLSClientContext] = [:]
        for peer in plan.peers {
            pace.pause()
            for check in peer.checks {
                guard let settings = check.definition.tls, made[settings] == nil else { continue }
                if let known = contexts[settings] {
                    made[settings] = known
                    continue
                }
                do throws(TLSFault) { made[settings] = try TLSClientContext(settings.value) } catch {
                    throw Refusal(text: error.message)
                }
            }
        }
        return made
    }

    /// What the region says of peers that this process has never seen: the word of the prober before this one.
    private func leftBehind(by plan: HealthPlan, _ slots: [PeerKey: PeerSlot]) -> [PeerKey: HealthState] {
        var known: [PeerKey: HealthState] = [:]
        for peer in plan.peers {
            guard let slot = slots[peer.key], region.healthSince(slot) != 0 else { continue }
            known[peer.key] = region.health(slot).state
        }
        return known
    }

    // MARK: Decide

    private func commit() {
        guard let prepared, let built = prepared.built else { return }
        let formerSlots = slots
        var pace = WorkPace()
        let changes = roster.adopt(built.plan, known: built.known, nowMilliseconds: monotonicMilliseconds()) {
            pace.pause()
        }
        let wall = wallMilliseconds()
        for (key, slot) in built.slots {
            pace.pause()
            guard let peer = roster.peers[key] else { continue }
            // A peer with checks gets a date even when it is well, so that the next prober knows that it was looked at.
            let isUndated = !peer.checks.isEmpty && region.healthSince(slot) == 0
            if isUndated || region.health(slot) != peer.state.shared {
                region.setHealth(peer.state.shared, slot, wallMilliseconds: wall, reason: Array(peer.reason.utf8))
            }
        }
        for (key, slot) in formerSlots where built.slots[key] == nil && region.health(slot) != .up {
            region.setHealth(.up, slot, wallMilliseconds: wall, reason: [])
        }
        slots = built.slots
        contexts = built.contexts
        log = built.log
        adopt(built.staples)
        committed = prepared.generation
        self.prepared = nil
        for change in changes { announce(change, wall, built.log) }
        reply(.committed, prepared.generation)
    }

    private func refuse(_ refusal: Refusal) {
        guard let prepared else { return }
        reply(.refused, prepared.generation, refusal.text)
        forgetPrepared()
    }

    /// Peers that only the forgotten generation has are as if nobody had ever asked for them.
    private func forgetPrepared() {
        guard let built = prepared.take()?.built else { return }
        for (key, state) in built.newcomers where state != .healthy {
            if let slot = built.slots[key] { region.setHealth(.up, slot, wallMilliseconds: 0, reason: []) }
        }
    }

    // MARK: Send

    private func reply(_ kind: LinkMessage.Kind, _ generation: UInt32, _ text: String = "") {
        unsent.append(LinkMessage(kind, generation: generation, text: text))
        // The link's errors are seen where it is read.
        try? sendUnsent()
    }

    func sendUnsent() throws(Errno) {
        do throws(Errno) {
            while let first = unsent.first, try link.send(first) { unsent.removeFirst() }
        } catch Errno.brokenPipe, Errno.connectionReset {
            // The end of the link, which `takeMessages` reports.
            unsent = []
        }
    }
}

extension HealthState {
    var shared: SharedHealth {
        switch self {
        case .healthy: .up
        case .checking: .checking
        case .unhealthy: .unhealthy
        }
    }
}

extension SharedHealth {
    var state: HealthState {
        switch self {
        case .up: .healthy
        case .checking: .checking
        case .unhealthy: .unhealthy
        }
    }
}
