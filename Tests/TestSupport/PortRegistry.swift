// SPDX-License-Identifier: Apache-2.0
//
// Loopback ports for tests, outside of the range that the kernel takes ephemeral ports from (32768-60999), so that no
// outgoing connection can sit on one. A port is given once a run: a lock on a file named after it keeps it from other
// processes until this one ends, and a trial bind keeps away from what runs on the machine anyway.

import Glibc
import Synchronization

package enum PortRegistry {
    private static let range = 20_000..<32_000
    private static let folder = "/tmp/weir-test-ports"
    private static let next = Mutex(range.lowerBound + Int(getpid()) * 97 % range.count)

    package static func take() throws -> UInt16 { try take(count: 1)[0] }

    /// `count` ports in a row.
    package static func take(count: Int) throws -> [UInt16] {
        try next.withLock { next in
            var run: [(port: UInt16, lock: Int32)] = []
            for _ in 0..<range.count * 2 {
                if next + count - run.count > range.upperBound {
                    next = range.lowerBound
                    release(&run)
                }
                let port = UInt16(next)
                next += 1
                if let lock = lock(port) {
                    run.append((port, lock))
                    if run.count == count { return run.map(\.port) }
                } else {
                    release(&run)
                }
            }
            throw TestFault("no free port in \(range)")
        }
    }

    /// Just this one, for vectors that are bound to an address: waits until other test processes are done with it.
    package static func take(exactly port: UInt16) async throws {
        try await eventually("port \(port) is free", within: .seconds(60)) { lock(port) != nil }
    }

    private static func release(_ run: inout [(port: UInt16, lock: Int32)]) {
        for entry in run { close(entry.lock) }
        run = []
    }

    /// The descriptor of the lock, which stays open as long as this process lives.
    private static func lock(_ port: UInt16) -> Int32? {
        unsafe mkdir(folder, 0o777)
        unsafe chmod(folder, 0o1777)
        let file = unsafe open("\(folder)/\(port)", O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
        guard file >= 0 else { return nil }
        guard flock(file, LOCK_EX | LOCK_NB) == 0, isFree(.ipv4(port)), isFree(.ipv6(port)) else {
            close(file)
            return nil
        }
        return file
    }

    private static func isFree(_ endpoint: Endpoint) -> Bool {
        let trial = socket(endpoint.family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard trial >= 0 else { return false }
        defer { close(trial) }
        return unsafe endpoint.withAddress { unsafe bind(trial, $0, $1) } == 0
    }
}
