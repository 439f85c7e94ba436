// SPDX-License-Identifier: Apache-2.0
//
// How large and how long everything is.

struct Settings: Sendable {
    var rounds = 5
    var seconds = 2.5
    var warmUpSeconds = 0.5
    var sessionCount = 1000
    var messagesPerSecond = 12_000.0
    var bulkBytes = 2 << 30
    var idleSessionCount = 9000
    /// Devices and proxies keep tens of KiB for each.
    var secureIdleSessionCount = 4000
    var stormCount = 2
    var stormHandshakes = 2000
    var stormSessionCount = 200
    var stormMessagesPerSecond = 4000.0
    var reloadCount = 10
    var reloadBlocks = 1000
    var reloadGroups = 100
    var reloadSessionCount = 200
    var reloadMessagesPerSecond = 4000.0
    /// Opened before each reload: sessions that hold their generation.
    var reloadFurtherSessions = 25
    /// Two descriptors each, at the worker as at the fleet.
    var adminSessionCount = 9_500
    /// Of eight servers each, beside the one that is measured.
    var adminGroups = 37
    var adminMessagesPerSecond = 4000.0
    var adminIdleConnections = 1000

    /// Nil: held to no CPU.
    var proxyProcessor: Int? = 0
    var loadProcessor: Int? = 1
    var programs: [Peer: String] = [:]

    /// Small enough for a test of the harness itself; its figures say nothing.
    mutating func makeQuick() {
        (rounds, seconds, warmUpSeconds) = (1, 0.2, 0.05)
        (sessionCount, messagesPerSecond) = (50, 2000)
        (bulkBytes, idleSessionCount) = (32 << 20, 300)
        (secureIdleSessionCount, stormCount, stormHandshakes) = (100, 1, 100)
        (stormSessionCount, stormMessagesPerSecond) = (20, 1000)
        (reloadCount, reloadBlocks, reloadGroups) = (2, 20, 4)
        (adminSessionCount, adminGroups, adminIdleConnections) = (100, 3, 20)
        (reloadSessionCount, reloadMessagesPerSecond, reloadFurtherSessions) = (20, 1000, 5)
    }
}
