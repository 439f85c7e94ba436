// SPDX-License-Identifier: Apache-2.0
//
// What handlers look at: the shared region, the way to master and workers, and the configuration that is the present
// one. One value for the life of the process, so that a stream of events goes on over a reload.

import ProxyConfig
import SharedState
import Synchronization

package final class AdminContext: Sendable {
    package let region: SharedRegion
    package let control: any AdminControl
    private let present: Mutex<(configuration: Configuration, revision: UInt64)>

    package init(configuration: Configuration, region: SharedRegion, control: any AdminControl) {
        self.region = region
        self.control = control
        present = Mutex((configuration, 0))
    }

    /// The committed one.
    package var configuration: Configuration { present.withLock { $0.configuration } }

    /// Another number for each configuration, for whoever goes on over a reload and must notice it.
    var revision: UInt64 { present.withLock { $0.revision } }

    func adopt(_ configuration: Configuration) {
        present.withLock { $0 = (configuration, $0.revision + 1) }
    }
}
