// SPDX-License-Identifier: Apache-2.0
//
// The listening sockets, all of them owned here: for an IP address one SO_REUSEPORT socket at each position, for a unix
// socket one that all workers share. A reload binds what is new, makes it listen when every child is ready, and closes
// what is gone when every child has let go of it.
//
// Invariant: the sockets of an address joined their reuseport group in the order of positions (listen(2) is the moment
// of joining), so that position and group index are the same number.

import LinuxIO
import ProxyConfig
import Vocabulary

struct ListenerTable {
    private struct Entry {
        var listener: Listener
        /// By position; a unix socket has one.
        var sockets: [Int32]
    }

    /// What a reload has bound and not yet made listen.
    private struct Pending {
        var added: [(endpoint: Endpoint, entry: Entry)] = []
        /// Further positions of addresses that we have already.
        var extended: [(endpoint: Endpoint, sockets: [Int32])] = []
    }

    private var entries: [Endpoint: Entry] = [:]
    private var pending = Pending()
    private var removed: [Entry] = []
    /// Addresses that the last reload took away: a worker that empties its queue there has them for a moment more.
    private var lately: Set<Endpoint> = []

    /// The socket for a worker at `position`, of the generation that is pending if there is one.
    func socket(_ endpoint: Endpoint, position: Int) -> Int32 {
        if let entry = pending.added.first(where: { $0.endpoint == endpoint })?.entry {
            return entry.sockets[entry.sockets.count == 1 ? 0 : position]
        }
        guard let entry = entries[endpoint] else { preconditionFailure("no listener at \(endpoint.text)") }
        if case .unix = endpoint { return entry.sockets[0] }
        if position < entry.sockets.count { return entry.sockets[position] }
        guard let extended = pending.extended.first(where: { $0.endpoint == endpoint }) else {
            preconditionFailure("no socket at position \(position) of \(endpoint.text)")
        }
        return extended.sockets[position - entry.sockets.count]
    }

    // MARK: A generation's sockets

    /// Binds what `listeners` have and we have not, for `positions` workers; all or nothing.
    mutating func prepare(_ listeners: [Listener], positions: Int) throws(StartFault) {
        precondition(pending.added.isEmpty && pending.extended.isEmpty)
        var pace = WorkPace()
        do throws(StartFault) {
            for listener in listeners where entries[listener.endpoint] == nil { try awaitFree(listener) }
            for listener in listeners {
                pace.pause()
                if let entry = entries[listener.endpoint] {
                    guard case .ip = listener.endpoint, entry.sockets.count < positions else { continue }
                    let count = positions - entry.sockets.count
                    pending.extended.append((listener.endpoint, try open(listener, count: count)))
                } else {
                    let count = if case .ip = listener.endpoint { positions } else { 1 }
                    let entry = Entry(listener: listener, sockets: try open(listener, count: count))
                    pending.added.append((listener.endpoint, entry))
                }
            }
        } catch {
            discard()
            throw error
        }
    }

    /// Makes the pending sockets listen. When one fails none is kept.
    mutating func enlist() throws(StartFault) {
        for (endpoint, entry) in pending.added { try listen(endpoint, entry.listener, entry.sockets) }
        for (endpoint, sockets) in pending.extended {
            guard let listener = entries[endpoint]?.listener else { continue }
            try listen(endpoint, listener, sockets)
        }
    }

    /// The pending sockets are ours from here on, and what `listeners` lack waits for `closeRemoved`. Returns what
    /// could not be changed at sockets that stay.
    mutating func adopt(_ listeners: [Listener]) -> [StartFault] {
        for (endpoint, sockets) in pending.extended { entries[endpoint]?.sockets += sockets }
        for (endpoint, entry) in pending.added { entries[endpoint] = entry }
        pending = Pending()
        var pace = WorkPace()
        let wanted = Set(listeners.map(\.endpoint))
        lately = []
        for (endpoint, entry) in entries where !wanted.contains(endpoint) {
            lately.insert(endpoint)
            removed.append(entry)
            entries[endpoint] = nil
        }
        var faults: [StartFault] = []
        for listener in listeners {
            pace.pause()
            change(listener, &faults)
        }
        return faults
    }

    mutating func closeRemoved() {
        for entry in removed { close(entry) }
        removed = []
    }

    /// Forgets what `prepare` bound.
    mutating func discard() {
        for (_, entry) in pending.added { close(entry) }
        for (_, sockets) in pending.extended { for socket in sockets { Descriptors.close(socket) } }
        pending = Pending()
    }

    mutating func closeAll() {
        discard()
        closeRemoved()
        for entry in entries.values { close(entry) }
        entries = [:]
    }

    // MARK: The number of workers

    /// New connections go to the first `count` positions only.
    func steer(count: Int) throws(Errno) {
        for entry in entries.values where entry.sockets.count > count {
            try Sockets.steerGroup(of: entry.sockets[0], toFirst: count)
        }
    }

    /// Closes positions `count` and above. Highest first: the kernel moves the last socket of a group into the gap that
    /// a closed one leaves.
    mutating func closePositions(from count: Int) throws(Errno) {
        precondition(count > 0)
        for (endpoint, entry) in entries where entry.sockets.count > count {
            guard case .ip = endpoint else { continue }
            for socket in entry.sockets[count...].reversed() { Descriptors.close(socket) }
            entries[endpoint]?.sockets.removeLast(entry.sockets.count - count)
            do throws(Errno) { try Sockets.unsteerGroup(of: entry.sockets[0]) } catch Errno.notFound {}
        }
    }

    // MARK: Sockets

    /// Waits a little for an address that was ours until just now: a new socket beside one that is being emptied would
    /// get its place in the group, and positions would be wrong from then on.
    private func awaitFree(_ listener: Listener) throws(StartFault) {
        let rounds = lately.contains(listener.endpoint) ? ListenerTable.emptyingRounds : 1
        for round in 1...rounds {
            do throws(StartFault) { return try refuseTaken(listener) } catch {
                if round == rounds { throw error }
                sleep(milliseconds: ListenerTable.emptyingPauseMilliseconds)
            }
        }
    }

    private static let emptyingRounds = 20
    private static let emptyingPauseMilliseconds: UInt64 = 10

    /// With SO_REUSEPORT a second master of the same user would bind without an error and take our connections. A bind
    /// without it fails when anybody listens there. Addresses that share a port with one of ours are left out, since
    /// our own wildcard would refuse them.
    private func refuseTaken(_ listener: Listener) throws(StartFault) {
        guard case .ip(let endpoint) = listener.endpoint else { return }
        for other in entries.keys {
            if case .ip(let ours) = other, ours.port == endpoint.port { return }
        }
        var options = ListenOptions()
        options.isIPv6Only = listener.isIPv6Only
        do throws(CallFault) { _ = try Sockets.open(at: listener.endpoint, options) } catch {
            throw StartFault(error, at: listener.endpoint)
        }
    }

    private func open(_ listener: Listener, count: Int) throws(StartFault) -> [Int32] {
        var sockets: [Int32] = []
        for _ in 0..<count {
            do throws(CallFault) {
                sockets.append(try openOne(listener).release())
            } catch {
                for socket in sockets { Descriptors.close(socket) }
                throw StartFault(error, at: listener.endpoint)
            }
        }
        return sockets
    }

    private func openOne(_ listener: Listener) throws(CallFault) -> Descriptor {
        let options = listener.socketOptions
        do throws(CallFault) {
            return try Sockets.open(at: listener.endpoint, options)
        } catch {
            guard case .unix(let path) = listener.endpoint, error.error == .addressInUse, isAbandoned(path) else {
                throw error
            }
            // What a killed master left behind: nobody listens there, so nobody misses it.
            try? Files.remove(path)
            return try Sockets.open(at: listener.endpoint, options)
        }
    }

    private func isAbandoned(_ path: String) -> Bool {
        guard let address = try? SocketAddress(.unix(path)), let probe = try? Sockets.makeStream(for: address) else {
            return false
        }
        do throws(Errno) {
            _ = try Sockets.connect(probe.number, to: address)
            return false
        } catch {
            return error == .connectionRefused
        }
    }

    private func listen(_ endpoint: Endpoint, _ listener: Listener, _ sockets: [Int32]) throws(StartFault) {
        for socket in sockets {
            do throws(Errno) { try Sockets.setBacklog(socket, listener.backlog) } catch {
                throw StartFault(
                    "listen() to \(endpoint.text), backlog \(listener.backlog) failed (\(error.numberedText))")
            }
        }
    }

    private mutating func change(_ listener: Listener, _ faults: inout [StartFault]) {
        guard let entry = entries[listener.endpoint] else { return }
        if entry.listener.isIPv6Only != listener.isIPv6Only || entry.listener.isMultipath != listener.isMultipath {
            let name = listener.endpoint.text
            faults.append(StartFault("ipv6only and multipath of \(name) cannot change while it is open and stay"))
        }
        let options = listener.socketOptions
        if entry.listener.socketOptions != options {
            let isIP = if case .ip = listener.endpoint { true } else { false }
            for socket in entry.sockets {
                do throws(CallFault) { try Sockets.apply(options, to: socket, isIP: isIP) } catch {
                    let name = listener.endpoint.text
                    faults.append(StartFault("\(error.call) of \(name) failed (\(error.error.numberedText))"))
                }
                if entry.listener.backlog != listener.backlog { try? Sockets.setBacklog(socket, listener.backlog) }
            }
        }
        entries[listener.endpoint]?.listener = listener
    }

    private func close(_ entry: Entry) {
        for socket in entry.sockets.reversed() { Descriptors.close(socket) }
        if case .unix(let path) = entry.listener.endpoint { try? Files.remove(path) }
    }
}

extension Listener {
    var socketOptions: ListenOptions {
        var options = ListenOptions()
        options.backlog = backlog
        options.isReusePort = true
        options.isIPv6Only = isIPv6Only
        options.receiveBufferBytes = receiveBufferBytes
        options.sendBufferBytes = sendBufferBytes
        options.fastOpenQueue = fastOpenQueue
        options.isDeferred = isDeferred
        options.isMultipath = isMultipath
        options.isKeepAlive = keepAlive?.isOn
        options.keepAliveIdleSeconds = keepAlive?.idleSeconds
        options.keepAliveIntervalSeconds = keepAlive?.intervalSeconds
        options.keepAliveProbes = keepAlive?.probes
        return options
    }
}

extension StartFault {
    fileprivate init(_ fault: CallFault, at endpoint: Endpoint) {
        self.init(
            "\(fault.call) to \(endpoint.text) failed (\(fault.error.numberedText))",
            mayPass: fault.error == .addressInUse)
    }
}
