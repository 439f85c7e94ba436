// SPDX-License-Identifier: Apache-2.0
//
// A generation on its way: its bundle, the logs that come for it, and what building it brings. Built in slices, since
// checks go on meanwhile; nothing of it counts before the commit.

import ControlLink
import Health
import LinuxIO
import Patterns
import ProxyConfig
import SharedState
import TLSEngine

/// What building a generation comes to.
struct BuiltHealth {
    let log: ChildLog
    let plan: HealthPlan
    let slots: [PeerKey: PeerSlot]
    let contexts: [Shared<TLSClientSettings>: TLSClientContext]
    let staples: StaplePlan
    /// What an earlier prober has left behind about peers of this plan; only for the first generation of a process.
    let known: [PeerKey: HealthState]
    /// Peers that only this generation has, and what the region says of them from the build on.
    let newcomers: [(key: PeerKey, state: HealthState)]
}

struct Refusal: Error {
    let text: String
}

final class PreparedHealth {
    enum Progress {
        case more
        /// With where it came from, for what else is in there.
        case built(Configuration, BundleSource)
    }

    /// Far more than any configuration: a bound against a lie, not a limit for people.
    private static let bundleBytesMax = 1 << 30

    let generation: UInt32
    private let bundle: Descriptor
    /// Descriptors that came before there was a configuration to say what they are.
    private var logs: [(index: Int, number: Int32)] = []
    private var builder: ConfigurationBuilder<BundleSource>? = nil
    private var source: BundleSource? = nil
    private(set) var isBuilding = false
    var built: BuiltHealth? = nil

    init(generation: UInt32, bundle: consuming Descriptor) {
        self.generation = generation
        self.bundle = bundle
    }

    deinit {
        for log in logs { Descriptors.close(log.number) }
    }

    func addLog(_ index: Int, _ descriptor: consuming Descriptor) {
        logs.append((index, descriptor.release()))
    }

    /// Gives the logs that came to their owner.
    func moveLogs(to log: ChildLog) {
        for (index, number) in logs { log.open(index, Descriptor(number)) }
        logs = []
    }

    func beginBuilding() throws(Refusal) {
        let bytes: [UInt8]
        do throws(Errno) {
            bytes = try Memory.readSealed(bundle.number, bytesMax: PreparedHealth.bundleBytesMax)
        } catch {
            throw Refusal(text: "the bundle cannot be read (\(error.numberedText))")
        }
        guard let bundle = Bundle(encoded: bytes), let options = ConfigurationOptions(bundle: bundle) else {
            throw Refusal(text: "the bundle is damaged")
        }
        let source = BundleSource(bundle)
        builder = ConfigurationBuilder(source: source, options: options)
        self.source = source
        isBuilding = true
    }

    /// Builds until `deadlineNanoseconds` of the monotonic clock.
    func build(until deadlineNanoseconds: UInt64) throws(Refusal) -> Progress {
        while builder?.step() == .more {
            if monotonicNanoseconds() >= deadlineNanoseconds { return .more }
        }
        isBuilding = false
        guard let outcome = builder.take()?.finish(), let source = source.take() else {
            throw Refusal(text: "nothing was prepared")
        }
        guard let configuration = outcome.configuration else {
            throw Refusal(text: outcome.diagnostics.first { $0.level == .emerg }?.headline ?? "it does not build")
        }
        return .built(configuration, source)
    }
}
