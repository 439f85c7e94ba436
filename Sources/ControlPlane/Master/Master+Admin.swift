// SPDX-License-Identifier: Apache-2.0
//
// What the master does for the admin process alone: its listening sockets, the region's file, and the pairs over which
// it asks workers.

import ControlLink
import LinuxIO
import SharedState
import Vocabulary

extension Child {
    /// What the shared region calls it; nil: a worker.
    var helper: Helper? {
        switch self {
        case .worker: nil
        case .prober: .prober
        case .admin: .admin
        }
    }
}

extension Master {
    /// The table that a child's listeners come from.
    func sockets(of child: Child) -> ListenerTable { child == .admin ? adminListeners : listeners }

    /// For reading only: who serves HTTP writes nothing that sessions depend on.
    func openRegion() throws(Errno) -> Int32 {
        do throws(AttachFault) { return try SharedRegion.openFile(of: masterID).release() } catch {
            if case .system(let error) = error { throw error }
            throw Errno.notFound
        }
    }

    /// A pair between the admin process and each worker, made anew when either starts. Called for the one that did.
    func introduce(_ child: Child) {
        guard let admin = children[.admin] else { return }
        switch child {
        case .worker(let slot): connect(admin, slot)
        case .admin: for case .worker(let slot) in children.keys { connect(admin, slot) }
        case .prober: break
        }
    }

    private func connect(_ admin: ChildProcess, _ slot: Int) {
        guard let worker = children[.worker(slot: slot)] else { return }
        let pair: (master: Int32, child: Int32)
        do throws(Errno) { pair = try LinkEndpoint.makePair() } catch {
            log.write(.alert, "socketpair() for questions to a worker process failed (\(error.numberedText))")
            return
        }
        let message = LinkMessage(.inquiry, index: UInt32(slot))
        worker.say(message, descriptor: pair.master)
        admin.say(message, descriptor: pair.child)
        Descriptors.close(pair.master)
        Descriptors.close(pair.child)
    }
}
