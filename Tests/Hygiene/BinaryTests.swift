// SPDX-License-Identifier: Apache-2.0
//
// The built `weir` itself: what it links, and how many threads its processes have.

import Foundation
import TestSupport
import Testing

@Suite("binary")
struct BinaryTests {
    /// With the dynamic runtime `libdispatch` is named by the concurrency library, which the compiler always links;
    /// that nothing of it runs is what the thread count shows.
    @Test("weir links no Foundation and no SwiftNIO")
    func links() throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: WeirBinary.path))
        for name in ["libFoundation", "libFoundationEssentials", "NIOCore", "NIOPosix"] {
            #expect(data.range(of: Data(name.utf8)) == nil, "weir contains \(name)")
        }
    }
}
