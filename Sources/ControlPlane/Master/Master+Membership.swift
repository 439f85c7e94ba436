// SPDX-License-Identifier: Apache-2.0
//
// Changes of servers at run time, asked for by the admin process. A change is a reload without reading: the bundle in
// use with other `server` directives for one group goes through the same talk, so that it is in all workers or in none
// when it is answered. With `state FILE` those directives are also the file's new content; without, they go with the
// next HUP, which reads what the configuration says. The admin process has resolved a new host name before it asks, so
// that nothing here waits for a resolver.
//
//   asked ──► queue ──► makeChange ──► (talk) ──► adopt: state file ──► finishChange: changed
//                           └────────────┴──────────────────────────► refuseChange: changeRefused
//
// `down` and `drain` are in the shared region from `makeChange` on: a worker that builds for a while sends nobody there
// meanwhile.

import ControlLink
import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

/// A change on its way.
struct ChangeRequest {
    /// The admin process that asked: a successor knows nothing of the request.
    var process: Int32
    var number: UInt32
    var change: MembershipChange
    /// From `makeChange` on.
    var edit: MembershipEdit? = nil
    /// What `state FILE` will hold.
    var stateFile: StateFile? = nil
    /// What `makeChange` has found in the shared region where it said `down` or `drain` ahead.
    var formerAdminStates: [(slot: PeerSlot, state: AdminState, since: UInt64)] = []
}

extension Master {
    /// More than people and scripts ask for at once; a bound for a program gone wild.
    private static let changesMax = 256
    private static let bundleBytesMax = 1 << 30

    /// The admin process asks.
    mutating func ask(_ message: LinkMessage, _ process: ChildProcess) {
        guard let change = MembershipChange(text: message.text) else {
            return answer(process.pid, message.index, AdminRefusal(.format, "this is no change"))
        }
        let request = ChangeRequest(process: process.pid, number: message.index, change: change)
        guard changes.count < Master.changesMax else {
            return answer(process.pid, message.index, AdminRefusal(.busy, "too many changes wait already"))
        }
        changes.append(request)
    }

    /// Once a turn: the next change begins as soon as nothing else is decided.
    mutating func beginChange() {
        guard !changes.isEmpty, activeChange == nil else { return }
        guard supervision.phase == .running, supervision.areWorkersWanted else {
            let refusal = AdminRefusal(.busy, "no workers are wanted any more")
            for request in changes { answer(request.process, request.number, refusal) }
            changes = []
            return
        }
        perform(supervision.change())
    }

    /// Builds the configuration with the next change in it.
    mutating func makeChange() -> [SupervisionAction] {
        guard !changes.isEmpty else { return supervision.configurationUnusable() }
        activeChange = changes.removeFirst()
        do throws(AdminRefusal) {
            return try prepareChange()
        } catch {
            _ = refuseChange(error)
            return supervision.configurationUnusable()
        }
    }

    private mutating func prepareChange() throws(AdminRefusal) -> [SupervisionAction] {
        guard let change = activeChange?.change else { preconditionFailure("no change to make") }
        let upstreams = current.configuration.upstreams
        let edit = try MembershipEdit(change, in: current.configuration) { upstream, id in
            slots(of: upstreams[upstream]).firstIndex { $0?.index == id }
        }
        activeChange?.edit = edit
        let upstream = upstreams[edit.upstream]
        showAdminState(edit, upstream)
        guard let bytes = try? Memory.readSealed(current.bundle, bytesMax: Master.bundleBytesMax),
            var bundle = Bundle(encoded: bytes)
        else { throw AdminRefusal(.failed, "the bundle in use cannot be read") }
        let text = edit.listing.text
        let file = bundle.replaceServers(of: upstream, by: text)
        guard let options = ConfigurationOptions(bundle: bundle) else {
            throw AdminRefusal(.failed, "the bundle in use lacks facts")
        }
        var source = RecordingSource(ChangedSource(known: BundleSource(bundle), name: change.name), bundle: bundle)
        var pace = WorkPace()
        let outcome = ConfigurationBuilder.buildAll(&source, options: options) { pace.pause() }
        guard let configuration = outcome.configuration else {
            let finding = outcome.diagnostics.first { $0.level == .emerg }
            throw finding.map { edit.refusal(for: $0, in: file) } ?? AdminRefusal(.format, "it is not valid")
        }
        let proof = TLSProof(configuration, known: current.proof) { pace.pause() }
        if let fault = proof.faults.first { throw AdminRefusal(.failed, fault) }
        do throws(StartFault) {
            if let path = upstream.stateFile { activeChange?.stateFile = try StateFile(path, text) }
            try prepare(configuration, source.bundle, proof, &pace)
        } catch {
            throw AdminRefusal(.failed, error.message)
        }
        return supervision.configurationRead(
            workers: configuration.workerCount, hasAdmin: configuration.admin != nil, now: now)
    }

    /// At the commit: the file says what the generation in use has. A crash in between leaves the former file whole.
    mutating func keepState() {
        guard let file = activeChange?.stateFile.take() else { return }
        do throws(StartFault) { try file.adopt() } catch {
            log.write(.alert, "\(error.message); the change is in use, and is lost with the next reload")
        }
    }

    /// True when it was a change that all children have committed.
    mutating func finishChange() -> Bool {
        guard let request = activeChange.take(), let edit = request.edit else { return false }
        let upstream = current.configuration.upstreams[edit.upstream]
        let ids: [Int]
        if let line = edit.line {
            let slots = slots(of: upstream)
            ids = ServerListing(upstream).lineOfPeer.enumerated()
                .compactMap { peer, place in place == line ? slots[peer]?.index : nil }
        } else if case .remove(let id) = request.change.operation {
            ids = [id]
        } else {
            ids = []
        }
        let line = "\(edit.text), asked for by \(request.change.requester)"
        log.write(.notice, "\(line); generation \(current.number)")
        region.note(.serversChanged, wallMilliseconds: wallMilliseconds(), text: line)
        let text = ids.map { String($0) }.joined(separator: " ")
        say(LinkMessage(.changed, index: request.number, text: text), to: request.process)
        return true
    }

    /// True when it was a change that came to nothing.
    mutating func refuseChange(_ refusal: AdminRefusal) -> Bool {
        guard let request = activeChange.take() else { return false }
        request.stateFile?.discard()
        for former in request.formerAdminStates {
            region.setAdminState(former.state, former.slot, wallMilliseconds: former.since)
        }
        log.write(
            .notice,
            "change of upstream \"\(request.change.upstream)\", asked for by \(request.change.requester), refused: "
                + refusal.text)
        answer(request.process, request.number, refusal)
        return true
    }

    // MARK: Words in the shared region

    /// `down` and `drain` of every server as the configuration in use has them.
    mutating func setAdminStates(_ pace: inout WorkPace) {
        let now = wallMilliseconds()
        for upstream in current.configuration.upstreams {
            pace.pause()
            for (peer, slot) in zip(upstream.peers, slots(of: upstream)) {
                guard let slot, region.adminState(slot) != peer.adminState else { continue }
                region.setAdminState(peer.adminState, slot, wallMilliseconds: now)
            }
        }
    }

    private mutating func showAdminState(_ edit: MembershipEdit, _ upstream: Upstream) {
        guard let line = edit.line else { return }
        let state = edit.listing.lines[line].adminState
        let slots = slots(of: upstream)
        for slot in edit.peers.compactMap({ slots[$0] }) {
            let former = (slot: slot, state: region.adminState(slot), since: region.adminSince(slot))
            guard former.state != state else { continue }
            activeChange?.formerAdminStates.append(former)
            region.setAdminState(state, slot, wallMilliseconds: wallMilliseconds())
        }
    }

    private func slots(of upstream: Upstream) -> [PeerSlot?] {
        guard let group = region.groupSlot(named: upstream.name) else { return upstream.peers.map { _ in nil } }
        return upstream.peerIdentities().map { region.peerSlot(group: group, identity: $0) }
    }

    // MARK: Answers

    private func answer(_ process: Int32, _ request: UInt32, _ refusal: AdminRefusal) {
        say(LinkMessage(.changeRefused, index: request, text: refusal.messageText), to: process)
    }

    private func say(_ message: LinkMessage, to process: Int32) {
        guard let admin = children[.admin], admin.pid == process else { return }
        admin.say(message)
    }
}

extension Bundle {
    /// Puts other servers into a group, and says which file the parser will call the text.
    fileprivate mutating func replaceServers(of upstream: Upstream, by text: String) -> String {
        if let path = upstream.stateFile {
            record(.file, path, Array(text.utf8))
            return path
        }
        record(.servers, upstream.name, Array(text.utf8))
        return Bundle.nameOfServers(of: upstream.name)
    }
}

/// All that was read stays as it was; the one host name that may be new was resolved by who asks.
private struct ChangedSource: ConfigurationSource {
    let known: BundleSource
    let name: ResolvedName?

    func file(_ path: String) -> Result<[UInt8], SourceFault> { known.file(path) }
    func secret(_ path: String) -> Result<[UInt8], SourceFault> { known.secret(path) }
    func expand(_ mask: String) -> Result<[String], SourceFault> { known.expand(mask) }

    func addresses(of host: String) -> Result<[IPAddress], SourceFault> {
        let answer = known.addresses(of: host)
        guard case .failure = answer, let name, name.host == host else { return answer }
        return name.answer
    }
}

extension Peer {
    fileprivate var adminState: AdminState { isDown ? .down : isDraining ? .draining : .none }
}

extension ServerListing.Line {
    fileprivate var adminState: AdminState { isDown ? .down : isDraining ? .draining : .none }
}
