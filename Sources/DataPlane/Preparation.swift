// SPDX-License-Identifier: Apache-2.0
//
// A generation on its way: what the master has sent of it, and how far it is built. Building is cut into slices, one
// block or one upstream group each, between which the worker carries its sessions' bytes.

import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

/// A class, so that the builder works where it lies: its arrays hold all that was read so far, and a slice that made a
/// copy of them would make a reload of a thousand blocks cost a thousand copies.
final class Preparation {
    enum Stage {
        /// Descriptors still come.
        case gathering
        case parsing
        /// Next: the group of the upstream behind those that are built.
        case grouping
        case ready
    }

    let number: UInt32
    let bundle: Bundle
    private(set) var stage = Stage.gathering
    /// By index of the generation's log destinations and listeners.
    private(set) var logDescriptors: [Int: Int32] = [:]
    private(set) var listenerDescriptors: [Int: Int32] = [:]
    /// The commit came already: without a master all messages wait in the link from the start.
    var isCommitDue = false
    private var builder: ConfigurationBuilder<BundleSource>? = nil
    /// From `grouping` on.
    private(set) var configuration = Configuration()
    private(set) var groups: [Group] = []

    init(number: UInt32, bundle: Bundle) {
        self.number = number
        self.bundle = bundle
    }

    var isBuilding: Bool { stage == .parsing || stage == .grouping }

    func take(log descriptor: Int32, at index: Int) {
        if let former = logDescriptors.updateValue(descriptor, forKey: index) { Descriptors.close(former) }
    }

    func take(listener descriptor: Int32, at index: Int) {
        if let former = listenerDescriptors.updateValue(descriptor, forKey: index) { Descriptors.close(former) }
    }

    /// False when the bundle lacks the facts that a build starts from.
    func begin() -> Bool {
        guard let options = ConfigurationOptions(bundle: bundle) else { return false }
        builder = ConfigurationBuilder(source: BundleSource(bundle), options: options)
        stage = .parsing
        return true
    }

    enum Progress {
        case more
        case ready
        case refused(String)
    }

    /// One block read, one server linked, or one group built.
    func step(region: SharedRegion) -> Progress {
        switch stage {
        case .gathering, .ready: .more
        case .parsing: parse()
        case .grouping: buildGroup(region)
        }
    }

    private func parse() -> Progress {
        guard builder!.step() == .done else { return .more }
        let outcome = builder!.finish()
        builder = nil
        guard let configuration = outcome.configuration else {
            let reason = outcome.diagnostics.first { $0.level == .emerg }?.headline
            return .refused(reason ?? "the configuration is not valid in this worker")
        }
        self.configuration = configuration
        stage = .grouping
        return .more
    }

    private func buildGroup(_ region: SharedRegion) -> Progress {
        guard groups.count < configuration.upstreams.count else {
            stage = .ready
            return .ready
        }
        let upstream = configuration.upstreams[groups.count]
        guard let group = Group(upstream, region: region) else {
            return .refused("upstream \"\(upstream.name)\" has no place in the shared region")
        }
        groups.append(group)
        return .more
    }

    /// Gives up the descriptors that no commit has taken.
    func abandon() {
        for descriptor in logDescriptors.values { Descriptors.close(descriptor) }
        for descriptor in listenerDescriptors.values { Descriptors.close(descriptor) }
    }
}
