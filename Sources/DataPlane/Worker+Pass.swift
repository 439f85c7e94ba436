// SPDX-License-Identifier: Apache-2.0
//
// `pass`: the session goes on as if the listener that is named had accepted it, in the same worker, without a hop
// through the network. What was read so far goes with it.

import EventLoop
import LinuxIO
import ProxyConfig
import SessionCore
import Vocabulary

extension Worker where K: ~Copyable {
    /// A listener may pass on what was passed to it; a ring of them must end.
    private static var passesMax: UInt8 { 8 }

    mutating func pass(_ slot: Int, to text: [UInt8]) {
        let name = String(decoding: text, as: UTF8.self)
        guard let routing = sessions[slot].routing else { preconditionFailure("a session passes without a generation") }
        guard let index = listener(named: name),
            let target = generations[routing].listener(at: listeners[index].endpoint)
        else {
            logSession(.error, slot, "no listener \"\(name)\" in \"pass\"; write the address of a listen")
            return close(slot, .internalError)
        }
        guard sessions[slot].passes < Self.passesMax else {
            logSession(.error, slot, "\"pass\" leads in a circle: passed on \(Self.passesMax) times")
            return close(slot, .internalError)
        }
        sessions[slot].passes += 1
        leaveZone(slot, status: CloseReason.returned.status)
        sessions[slot].listener = UInt16(index)
        adopt(slot, settings: generations[routing].settings[target.server])
        if !hasNames(slot) { enterZone(slot) }
        enter(slot)
    }

    /// The address as it is listened at; else any address of the same port that covers it.
    private func listener(named name: String) -> Int? {
        let open = listeners.indices.filter { listeners[$0].descriptor >= 0 && !listeners[$0].isClosing }
        if let port = UInt16(name) {
            return open.first { listeners[$0].covers(port: port) }
        }
        guard case .address(let wanted) = ProxyTarget(name) else { return nil }
        if let exact = open.first(where: { listeners[$0].endpoint == wanted }) { return exact }
        guard case .ip(let address) = wanted else { return nil }
        return open.first { listeners[$0].covers(port: address.port) }
    }
}

extension ListenerState {
    /// It listens at all addresses of this port.
    fileprivate func covers(port: UInt16) -> Bool {
        guard case .ip(let own) = endpoint else { return false }
        return own.port == port && (0..<own.address.byteCount).allSatisfy { own.address.byte($0) == 0 }
    }
}
