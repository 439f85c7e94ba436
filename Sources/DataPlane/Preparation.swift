// SPDX-License-Identifier: Apache-2.0
//
// A generation on its way: what the master has sent of it, and how far it is built. Building is cut into slices, one
// block or one upstream group each, between which the worker carries its sessions' bytes.

import LinuxIO
import ProxyConfig
import Vocabulary

struct Preparation {
    enum Stage {
        /// Descriptors still come; or a slice has the builder in hand, so that no copy of it is made.
        case gathering
        case parsing(ConfigurationBuilder<BundleSource>)
        /// Next: the group of this upstream.
        case grouping(Configuration, groups: [Group])
        case ready(Configuration, groups: [Group])
    }

    let number: UInt32
    let bundle: Bundle
    var stage = Stage.gathering
    /// By index of the generation's log destinations and listeners.
    var logDescriptors: [Int: Int32] = [:]
    var listenerDescriptors: [Int: Int32] = [:]

    /// True when `commit` came before it was ready: without a master process everything is said at once.
    var isCommitDue = false

    init(number: UInt32, bundle: Bundle) {
        self.number = number
        self.bundle = bundle
    }

    var isBuilding: Bool {
        switch stage {
        case .gathering, .ready: false
        case .parsing, .grouping: true
        }
    }

    /// Gives up the descriptors that no commit has taken.
    func abandon() {
        for descriptor in logDescriptors.values { Descriptors.close(descriptor) }
        for descriptor in listenerDescriptors.values { Descriptors.close(descriptor) }
    }
}
