// SPDX-License-Identifier: Apache-2.0
//
// The prober's process: one thread around poll(2) over the link to the master, signals and the connections of checks.
// `ProberLoop+Link` holds the talk with the master, `ProberLoop+Checks` the checks, `ProberLoop+Staples` the
// questions to OCSP responders. The only writer of the health words in the shared region and of the responses that are
// stapled; when it dies they keep what they say, and the next prober takes them up.

import ControlLink
import Glibc
import Health
import LinuxIO
import Patterns
import ProxyConfig
import SharedState
import TLSEngine
import Vocabulary

/// Runs until the master says so, or has gone. The exit code of the process.
package func runProber(
    slot: Int, link: consuming LinkEndpoint, region: SharedRegion, staples: StapleRegion
) -> Int32 {
    do throws(Errno) {
        try Signals.ignoreBrokenPipes()
        let signals = try SignalQueue([SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH])
        let loop = ProberLoop(
            link: link, signals: signals, region: region, staples: staples,
            connectionsMax: ProberLoop.connectionsMaxHere)
        while !loop.isEnding { try loop.turn() }
        return 0
    } catch {
        ChildLog.write(.alert, "prober process gives up (\(error.numberedText))", to: 2)
        return 1
    }
}

package final class ProberLoop {
    /// Far more than run at once while brokers answer; with this many that do not, others are still checked in time.
    private static let connectionsMaxDefault = 2_048
    /// Descriptors for all else: the link, signals, logs of two generations, a bundle, questions to responders.
    private static let descriptorsReserved = 80
    let link: LinkEndpoint
    private let signals: SignalQueue?
    let region: SharedRegion
    let staples: StapleRegion

    /// Exactly when the process is to end.
    package internal(set) var isEnding = false
    var roster = HealthRoster()
    var slots: [PeerKey: PeerSlot] = [:]
    /// One for each distinct `CheckDefinition.tls` of the roster.
    var contexts: [Shared<TLSClientSettings>: TLSClientContext] = [:]
    /// Nil before the first commit.
    var log: ChildLog? = nil
    var committed: UInt32? = nil
    var prepared: PreparedHealth? = nil
    /// What the link had no room for, in order.
    var unsent: [LinkMessage] = []

    var connections: [CheckConnection] = []
    /// Connections at once, those that only wait for their peer's goodbye included. Further checks wait their turn.
    let connectionsMax: Int
    /// Of the committed generation.
    var staplePlan = StaplePlan()
    let stapleTimes: StapleTimes
    var stapleRoster: StapleRoster<StapleTarget>
    /// Questions that are under way.
    var fetches: [StapleFetch] = []
    var chance = Chance.generator()
    var patterns = PatternMatcher(captureCountMax: 0)
    /// What one turn takes of one answer at most: a peer that never stops sending keeps neither the process nor memory.
    var buffer = [UInt8](repeating: 0, count: 16 * 1024)
    /// No line about missing descriptors before this moment.
    var abandonedQuietUntilMilliseconds: UInt64 = 0

    package init(
        link: consuming LinkEndpoint, signals: consuming SignalQueue?, region: SharedRegion, staples: StapleRegion,
        connectionsMax: Int, stapleTimes: StapleTimes = StapleTimes()
    ) {
        self.link = link
        self.signals = signals
        self.region = region
        self.staples = staples
        self.connectionsMax = connectionsMax
        self.stapleTimes = stapleTimes
        stapleRoster = StapleRoster(retrySeconds: stapleTimes.retrySeconds)
        staples.mend()
    }

    /// As many as wanted, or as descriptors allow.
    package static var connectionsMaxHere: Int {
        let limit = (try? Processes.limit(of: .descriptors))?.soft ?? 1_024
        return max(1, min(Int(clamping: limit) - descriptorsReserved, connectionsMaxDefault))
    }

    /// Waits for something to happen, or a time to come, at most `waitMillisecondsMax`, and does what is due.
    package func turn(waitMillisecondsMax: UInt64 = .max) throws(Errno) {
        var entries = [
            PollEntry(link.number, unsent.isEmpty ? .readable : [.readable, .writable]),
            PollEntry(signalNumber, .readable),
        ]
        entries += connections.map(\.pollEntry)
        entries += fetches.map(\.pollEntry)
        let readyCount = try Poll.wait(&entries, milliseconds: min(untilNextMoment, waitMillisecondsMax))
        if readyCount > 0 {
            // What peers have said counts before their deadlines do.
            for (connection, entry) in zip(connections, entries.dropFirst(2)) where !entry.happened.isEmpty {
                advance(connection)
            }
            for (fetch, entry) in zip(fetches, entries.suffix(fetches.count)) where !entry.happened.isEmpty {
                advance(fetch)
            }
            try takeSignals()
            if !isEnding { try sendUnsent() }
            if !isEnding { try takeMessages() }
        }
        guard !isEnding else { return }
        buildSlice()
        expireConnections()
        connections.removeAll { $0.isDone }
        startChecks()
        expireFetches()
        startFetches()
    }

    private var signalNumber: Int32 {
        switch signals {
        case .some(let queue): queue.descriptor.number
        case nil: -1
        }
    }

    /// Milliseconds until something is due, at most a minute.
    private var untilNextMoment: UInt64 {
        var moment = connections.lazy.map(\.deadlineMilliseconds).min() ?? .max
        if prepared?.isBuilding == true {
            // A rest between slices, for a worker on this CPU. The first generation is waited for.
            guard committed != nil else { return 0 }
            moment = min(moment, monotonicMilliseconds() + 1)
        }
        if connections.count < connectionsMax, let due = roster.nextDueMilliseconds {
            moment = min(moment, due)
        }
        moment = min(moment, nextFetchMoment ?? .max)
        let now = monotonicMilliseconds()
        return moment > now ? min(moment - now, 60_000) : 0
    }

    /// Signals for all processes of a terminal or a group reach this one as well; the master acts on the others.
    private func takeSignals() throws(Errno) {
        while let signal = try signals?.next() {
            switch signal.number {
            case SIGTERM, SIGINT, SIGQUIT: isEnding = true
            default: break
            }
        }
    }

    /// A line about the process itself: to the main context's logs, or before there are any to standard error.
    func note(_ level: LogLevel, _ message: String) {
        if let log { log.write(level, message) } else { ChildLog.write(level, message, to: 2) }
    }
}
