// SPDX-License-Identifier: Apache-2.0
//
// Places in the shared region. A value of these types is always a valid index: only the region makes them.

import CShared

/// A worker's place, the same over its respawns.
package struct WorkerSlot: Sendable, Hashable, BitwiseCopyable {
    let number: UInt32
    package var index: Int { Int(number) }

    /// Nil beyond `SharedRegion.workersMax`.
    package init?(index: Int) {
        guard (0..<SharedRegion.workersMax).contains(index) else { return nil }
        number = UInt32(index)
    }

    init(number: UInt32) { self.number = number }
}

/// An upstream group's place, the same over reloads.
package struct GroupSlot: Sendable, Hashable, BitwiseCopyable {
    let number: UInt32
    package var index: Int { Int(number) }
}

/// A peer's place, the same over reloads.
package struct PeerSlot: Sendable, Hashable, BitwiseCopyable {
    let number: UInt32
    package var index: Int { Int(number) }
}

/// A `status_zone`'s place, the same over reloads.
package struct ZoneSlot: Sendable, Hashable, BitwiseCopyable {
    let number: UInt32
    package var index: Int { Int(number) }
}
