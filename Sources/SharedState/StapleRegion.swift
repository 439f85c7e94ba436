// SPDX-License-Identifier: Apache-2.0
//
// The OCSP responses that are stapled, as the prober keeps them: made by the master before the first fork, written by
// the prober, read by every worker in its handshakes. The layout and the readers' side stand in CSharedStaples.h.

import CShared
import LinuxIO

/// A handle: copies name the same responses.
@safe package struct StapleRegion {
    package static let keyBytes = Int(CS_STAPLE_KEY_BYTES)
    package static let responseBytesMax = Int(CS_STAPLE_BYTES_MAX)

    /// A place in the table, from `places`.
    package struct Place: Hashable, Sendable {
        let index: UInt32
    }

    /// What `cs_staples_get` takes. Lives as long as the process.
    package let address: UnsafeMutableRawPointer

    private init(address: UnsafeMutableRawPointer) { unsafe self.address = address }

    /// Empty. Pages that nobody has written take no memory.
    package static func create() throws(Errno) -> StapleRegion {
        unsafe StapleRegion(address: try Memory.mapSecret(byteCount: Int(CS_STAPLES_BYTES)))
    }

    /// By a prober, before it does anything else: what one before it left half written is gone.
    package func mend() { unsafe cs_staples_mend(address) }

    /// Where the key stands, or nil.
    package func place(of key: [UInt8]) -> Place? {
        precondition(key.count == StapleRegion.keyBytes)
        let index = unsafe cs_staples_place(address, key)
        return index < UInt32(CS_STAPLES) ? Place(index: index) : nil
    }

    /// The places where a key may stand, in the order in which they are looked at.
    package func places(for key: [UInt8]) -> [Place] {
        precondition(key.count == StapleRegion.keyBytes)
        let home = unsafe cs_staples_home(key)
        return (0..<UInt32(CS_STAPLES_REACH)).map { Place(index: (home + $0) % UInt32(CS_STAPLES)) }
    }

    /// Whose place it is; nil: nobody's yet.
    package func key(at place: Place) -> [UInt8]? {
        var key = [UInt8](repeating: 0, count: StapleRegion.keyBytes)
        return unsafe cs_staples_key(address, place.index, &key) ? key : nil
    }

    /// Wall clock, seconds.
    package func askAt(_ place: Place) -> UInt64 { unsafe cs_staples_ask_at(address, place.index) }
    package func holdsUntil(_ place: Place) -> UInt64 { unsafe cs_staples_holds_until(address, place.index) }

    /// By the prober: the place is the key's from now on, with this response.
    package func put(_ response: [UInt8], _ key: [UInt8], at place: Place, holdsUntil: UInt64, askAt: UInt64) {
        precondition(key.count == StapleRegion.keyBytes && response.count <= StapleRegion.responseBytesMax)
        unsafe cs_staples_put(address, place.index, key, response, response.count, holdsUntil, askAt)
    }

    /// As a worker reads it.
    package func response(_ key: [UInt8], nowSeconds: UInt64) -> [UInt8]? {
        precondition(key.count == StapleRegion.keyBytes)
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: StapleRegion.responseBytesMax) { buffer, count in
            count = Int(unsafe cs_staples_get(address, key, buffer.baseAddress, buffer.count, nowSeconds))
        }
        return bytes.isEmpty ? nil : bytes
    }
}
