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
    /// Rings of one revision, by upstream, made when somebody asks for them.
    private let rings = Mutex<(revision: UInt64, placements: [String: Placement])>((0, [:]))

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

    /// The committed configuration, and the ring of an upstream of it.
    var placements: (Configuration, (Upstream) throws(Placement.Unknown) -> Placement) {
        let (configuration, revision) = present.withLock { $0 }
        return (
            configuration,
            { [self] upstream throws(Placement.Unknown) in
                let known = rings.withLock { $0.revision == revision ? $0.placements[upstream.name] : nil }
                if let known { return known }
                let made = try Placement(upstream)
                rings.withLock { rings in
                    if rings.revision < revision { rings = (revision, [:]) }
                    if rings.revision == revision { rings.placements[upstream.name] = made }
                }
                return made
            }
        )
    }
}
