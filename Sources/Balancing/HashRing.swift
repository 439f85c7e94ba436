// SPDX-License-Identifier: Apache-2.0
//
// The ring of `hash … consistent`: 160 points for each unit of weight, each the CRC-32 of host, port and the point
// before it, as nginx and Cache::Memcached::Fast make them. Built once a generation and never changed; peers that give
// the same host and port are one owner of points. Backups have none.
// Invariant: `hashes` rises strictly, and `owners` is as long.

package final class HashRing: Sendable {
    /// What a peer's points are made of.
    package struct Member: Sendable, Equatable {
        /// The address as configured, or each address of a name; the path of a unix socket.
        package var host: String
        /// Empty for a unix socket.
        package var port: String
        package var weight: Int
        package var isBackup: Bool

        package init(host: String, port: String, weight: Int, isBackup: Bool = false) {
            self.host = host
            self.port = port
            self.weight = weight
            self.isBackup = isBackup
        }
    }

    package static let pointsForWeight = 160
    /// 6 bytes a point: a ring takes no more than 96 MiB, whatever the weights are.
    package static let pointsMax = 16 * 1024 * 1024

    private let hashes: [UInt32]
    /// The owner of each point.
    private let owners: [UInt16]
    /// The owner of each peer; `noOwner` for backups.
    private let ownerOfPeer: [UInt16]
    /// The peer of each owner that has just one, which is nearly always; else -1.
    private let peerOfOwner: [Int32]

    private static let noOwner = UInt16.max

    /// `members` in the order of the group's peers. Nil when the weights ask for more than `pointsMax` points.
    package init?(members: [Member]) {
        let weight = members.reduce(into: 0) { sum, member in
            if !member.isBackup { sum = sum.addingReportingOverflow(max(0, member.weight)).partialValue }
        }
        guard members.allSatisfy({ $0.weight <= HashRing.pointsMax }), members.count < Int(HashRing.noOwner),
            weight <= HashRing.pointsMax / HashRing.pointsForWeight
        else { return nil }

        let ownership = HashRing.ownership(of: members)
        ownerOfPeer = ownership.ownerOfPeer
        peerOfOwner = ownership.peerOfOwner
        primaryCount = members.count { !$0.isBackup }
        var points: [UInt64] = []
        points.reserveCapacity(weight * HashRing.pointsForWeight)
        for (member, owner) in zip(members, ownership.ownerOfPeer) where owner != HashRing.noOwner {
            HashRing.appendPoints(of: member, owner: owner, to: &points)
        }
        HashRing.sortByHash(&points)
        (hashes, owners) = HashRing.withoutDuplicates(points)
    }

    package var pointCount: Int { hashes.count }

    /// Where a key's walk starts: the first point at or behind its hash; the ring closes behind the last one.
    func firstPoint(for hash: UInt32) -> Int {
        var low = 0
        var high = hashes.count
        while low < high {
            let middle = (low + high) / 2
            if hashes[middle] < hash { low = middle + 1 } else { high = middle }
        }
        return low == hashes.count ? 0 : low
    }

    func owner(ofPoint point: Int) -> UInt16 { owners[point % owners.count] }

    /// The only peer of this owner; nil when it has several, to be told by `owner(ofPeer:)`.
    func onlyPeer(of owner: UInt16) -> Int? {
        let peer = peerOfOwner[Int(owner)]
        return peer < 0 ? nil : Int(peer)
    }

    func owner(ofPeer peer: Int) -> UInt16 { ownerOfPeer[peer] }

    package var peerCount: Int { ownerOfPeer.count }

    /// Peers that are no backups.
    let primaryCount: Int

    // MARK: - Building

    private static func ownership(of members: [Member]) -> (ownerOfPeer: [UInt16], peerOfOwner: [Int32]) {
        var ownerOfPeer: [UInt16] = []
        var peerOfOwner: [Int32] = []
        var ownerOfLabel: [String: UInt16] = [:]
        for (peer, member) in members.enumerated() {
            guard !member.isBackup else {
                ownerOfPeer.append(noOwner)
                continue
            }
            let label = member.host + "\0" + member.port
            if let owner = ownerOfLabel[label] {
                peerOfOwner[Int(owner)] = -1
                ownerOfPeer.append(owner)
            } else {
                let owner = UInt16(peerOfOwner.count)
                ownerOfLabel[label] = owner
                peerOfOwner.append(Int32(peer))
                ownerOfPeer.append(owner)
            }
        }
        return (ownerOfPeer, peerOfOwner)
    }

    /// A point is `hash << 32 | owner`.
    private static func appendPoints(of member: Member, owner: UInt16, to points: inout [UInt64]) {
        var server = CRC32()
        server.update(Array(member.host.utf8).span)
        server.update(0)
        server.update(Array(member.port.utf8).span)
        var hash: UInt32 = 0
        for _ in 0..<max(0, member.weight) * pointsForWeight {
            var point = server
            point.update(littleEndian: hash)
            hash = point.value
            points.append(UInt64(hash) << 32 | UInt64(owner))
        }
    }

    /// Radix sort over the hash alone: stable, so that of equal points the first configured server's is first, and
    /// several times faster than a sort by comparison, which a reload's slice would feel.
    private static func sortByHash(_ points: inout [UInt64]) {
        let digitBits: UInt64 = 11
        var other = points
        for shift in [32, 43, 54] as [UInt64] {
            var starts = [Int](repeating: 0, count: 1 << Int(digitBits))
            for point in points { starts[Int(point >> shift & 0x7FF)] += 1 }
            var sum = 0
            for digit in starts.indices {
                (starts[digit], sum) = (sum, sum + starts[digit])
            }
            for point in points {
                let digit = Int(point >> shift & 0x7FF)
                other[starts[digit]] = point
                starts[digit] += 1
            }
            swap(&points, &other)
        }
    }

    private static func withoutDuplicates(_ points: [UInt64]) -> (hashes: [UInt32], owners: [UInt16]) {
        var hashes: [UInt32] = []
        var owners: [UInt16] = []
        hashes.reserveCapacity(points.count)
        owners.reserveCapacity(points.count)
        for point in points where hashes.last != UInt32(point >> 32) {
            hashes.append(UInt32(point >> 32))
            owners.append(UInt16(truncatingIfNeeded: point))
        }
        return (hashes, owners)
    }
}
