// SPDX-License-Identifier: Apache-2.0
//
// Which labels the samples of a metric carry.

extension Metric {
    package var labelNames: [String] {
        switch self {
        case .startTime, .generation, .loadTime, .lastReloadSucceeded, .lastReloadTime, .lastReloadDuration,
            .connectDuration, .firstByteDuration, .sessionDuration:
            []
        case .buildInfo: ["version"]
        case .reloads: ["result"]

        // `worker` is there for workers only.
        case .processUp, .processRespawns, .processProcessorTime, .processDescriptors, .processDescriptorsMax:
            ["process", "worker"]
        case .processResidentMemory: ["process", "worker", "kind"]

        case .closes: ["reason"]
        case .connects: ["version", "outcome"]
        case .tlsHandshakes, .tlsHandshakesFailed, .tlsReuses: ["side"]
        case .tlsFailures: ["side", "cause"]

        case .workerState: ["worker", "state"]
        case .workerStartTime, .workerSessions, .workerSessionsMax, .workerWaiting, .workerAccepted, .workerRefused,
            .workerTurns, .workerCompletions, .workerTurnDuration, .workerBuffers, .workerBuffersMax,
            .workerBufferMemory, .workerBuffersStarved, .workerTLSBuffers, .workerPipes, .workerPipesIdle,
            .workerRingFull, .workerRingOverflows, .workerDescriptorsStarved, .workerLogLinesLost, .workerInquiries,
            .workerGenerations, .workerSettings:
            ["worker"]

        case .zoneSessionsEnded: ["zone", "status"]
        case .zoneFailures: ["zone", "cause"]
        case .zoneSessions, .zoneConnections, .zoneDiscarded, .zoneReceivedBytes, .zoneSentBytes, .zoneHandshakes,
            .zoneHandshakesFailed, .zoneReuses:
            ["zone"]

        case .peerState: ["upstream", "server", "state"]
        case .peerWeight, .peerSessions, .peerSessionsBegun, .peerConnects, .peerConnectsFailed, .peerConnectTime,
            .peerFirstBytes, .peerFirstByteTime, .peerSessionsEnded, .peerSessionTime, .peerSentBytes,
            .peerReceivedBytes, .peerUnavailable, .peerDowntime, .peerHandshakes, .peerHandshakesFailed, .peerReuses,
            .peerChecks, .peerChecksFailed, .peerTimesUnhealthy, .peerLastCheckPassed, .peerLastCheckTime,
            .peerHealthChangeTime:
            ["upstream", "server"]
        }
    }
}
