// SPDX-License-Identifier: Apache-2.0
//
// The cache of responders' answers: until when it knows what, and what it does not take for an answer.

import CShared
import LinuxIO
import SharedState
import TLSEngine
import Testing

@testable import DataPlane

@Suite("the cache of certificates' status")
struct StatusCacheTests {
    private let region: SessionCacheRegion
    private let cache: StatusCache

    init() throws {
        let file = try SessionCacheRegion.makeFile(byteCount: SessionCacheRegion.bytesMin)
        region = try SessionCacheRegion.attach(file.number, known: [])
        cache = StatusCache(region)
    }

    private func key(_ number: UInt8) -> [UInt8] { [UInt8](repeating: number, count: 32) }

    @Test("knows an answer until its end, and the last one of two")
    func validity() {
        #expect(cache.status(of: key(1), nowSeconds: 1000) == nil)
        cache.put(.good, of: key(1), untilSeconds: 1010)
        cache.put(.revoked, of: key(2), untilSeconds: 2000)
        cache.put(.unknown, of: key(3), untilSeconds: 2000)
        #expect(cache.status(of: key(1), nowSeconds: 1009) == .good)
        #expect(cache.status(of: key(1), nowSeconds: 1010) == nil)
        #expect(cache.status(of: key(2), nowSeconds: 1009) == .revoked)
        #expect(cache.status(of: key(3), nowSeconds: 1009) == .unknown)
        cache.put(.revoked, of: key(1), untilSeconds: 2000)
        #expect(cache.status(of: key(1), nowSeconds: 1009) == .revoked)
    }

    @Test("takes nothing for an answer that is none", arguments: [[0], [4], [255], [1, 1]] as [[UInt8]])
    func strangers(bytes: [UInt8]) {
        #expect(unsafe cs_sessions_put(region.address, key(1), 32, bytes, bytes.count, 2000) == 0)
        #expect(cache.status(of: key(1), nowSeconds: 1000) == nil)
    }
}
