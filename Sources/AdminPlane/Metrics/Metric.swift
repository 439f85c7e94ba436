// SPDX-License-Identifier: Apache-2.0
//
// The table of metrics: each name once, as a case, which the compiler keeps unique. What a name says of itself:
//
//   …_total            a counter; OpenMetrics calls its family by the name without it
//   …_info             labels alone, the value is 1
//   …_seconds, …_bytes the unit, before `_total`
//
// No label holds anything that a client chooses: a fleet would make as many series as it has devices.

/// A metric by its name in Prometheus's text.
package enum Metric: String, Sendable, CaseIterable {
    // Weir as a whole.
    case buildInfo = "weir_build_info"
    case startTime = "weir_start_time_seconds"
    case generation = "weir_configuration_generation"
    case loadTime = "weir_configuration_load_time_seconds"
    case reloads = "weir_reloads_total"
    case lastReloadSucceeded = "weir_last_reload_succeeded"
    case lastReloadTime = "weir_last_reload_time_seconds"
    case lastReloadDuration = "weir_last_reload_duration_seconds"

    // Processes: of master, workers, prober and admin.
    case processUp = "weir_process_up"
    case processRespawns = "weir_process_respawns_total"
    case processResidentMemory = "weir_process_resident_memory_bytes"
    case processProcessorTime = "weir_process_cpu_seconds_total"
    case processDescriptors = "weir_process_descriptors"
    case processDescriptorsMax = "weir_process_descriptors_max"

    // Sessions of all workers.
    case closes = "weir_sessions_closed_total"
    case connects = "weir_mqtt_connects_total"
    case tlsHandshakes = "weir_tls_handshakes_total"
    case tlsHandshakesFailed = "weir_tls_handshakes_failed_total"
    case tlsReuses = "weir_tls_sessions_reused_total"
    case tlsFailures = "weir_tls_failures_total"
    case connectDuration = "weir_connect_duration_seconds"
    case firstByteDuration = "weir_first_byte_duration_seconds"
    case sessionDuration = "weir_session_duration_seconds"

    // Workers.
    case workerState = "weir_worker_state"
    case workerStartTime = "weir_worker_start_time_seconds"
    case workerSessions = "weir_worker_sessions"
    case workerSessionsMax = "weir_worker_sessions_max"
    case workerWaiting = "weir_worker_sessions_waiting"
    case workerAccepted = "weir_worker_accepted_total"
    case workerRefused = "weir_worker_refused_total"
    case workerTurns = "weir_worker_turns_total"
    case workerCompletions = "weir_worker_completions_total"
    case workerTurnDuration = "weir_worker_turn_duration_seconds"
    case workerBuffers = "weir_worker_buffers"
    case workerBuffersMax = "weir_worker_buffers_max"
    case workerBufferMemory = "weir_worker_buffer_memory_bytes"
    case workerBuffersStarved = "weir_worker_buffers_starved_total"
    case workerTLSBuffers = "weir_worker_tls_buffers"
    case workerPipes = "weir_worker_pipes"
    case workerPipesIdle = "weir_worker_pipes_idle"
    case workerRingFull = "weir_worker_ring_full_total"
    case workerRingOverflows = "weir_worker_ring_overflows_total"
    case workerDescriptorsStarved = "weir_worker_descriptors_starved_total"
    case workerLogLinesLost = "weir_worker_log_lines_lost_total"
    case workerInquiries = "weir_worker_inquiries_total"
    case workerGenerations = "weir_worker_generations"
    case workerSettings = "weir_worker_settings"

    // Zones of `status_zone`.
    case zoneSessions = "weir_zone_sessions"
    case zoneConnections = "weir_zone_connections_total"
    case zoneSessionsEnded = "weir_zone_sessions_ended_total"
    case zoneDiscarded = "weir_zone_discarded_total"
    case zoneReceivedBytes = "weir_zone_received_bytes_total"
    case zoneSentBytes = "weir_zone_sent_bytes_total"
    case zoneHandshakes = "weir_zone_tls_handshakes_total"
    case zoneHandshakesFailed = "weir_zone_tls_handshakes_failed_total"
    case zoneReuses = "weir_zone_tls_sessions_reused_total"
    case zoneFailures = "weir_zone_tls_failures_total"

    // Peers: the servers of upstreams.
    case peerState = "weir_peer_state"
    case peerWeight = "weir_peer_weight"
    case peerSessions = "weir_peer_sessions"
    case peerSessionsBegun = "weir_peer_sessions_begun_total"
    case peerConnects = "weir_peer_connects_total"
    case peerConnectsFailed = "weir_peer_connects_failed_total"
    case peerConnectTime = "weir_peer_connect_seconds_total"
    case peerFirstBytes = "weir_peer_first_bytes_total"
    case peerFirstByteTime = "weir_peer_first_byte_seconds_total"
    case peerSessionsEnded = "weir_peer_sessions_ended_total"
    case peerSessionTime = "weir_peer_session_seconds_total"
    case peerSentBytes = "weir_peer_sent_bytes_total"
    case peerReceivedBytes = "weir_peer_received_bytes_total"
    case peerUnavailable = "weir_peer_unavailable_total"
    case peerDowntime = "weir_peer_downtime_seconds_total"
    case peerHandshakes = "weir_peer_tls_handshakes_total"
    case peerHandshakesFailed = "weir_peer_tls_handshakes_failed_total"
    case peerReuses = "weir_peer_tls_sessions_reused_total"
    case peerChecks = "weir_peer_health_checks_total"
    case peerChecksFailed = "weir_peer_health_checks_failed_total"
    case peerTimesUnhealthy = "weir_peer_unhealthy_total"
    case peerLastCheckPassed = "weir_peer_last_check_passed"
    case peerLastCheckTime = "weir_peer_last_check_time_seconds"
    case peerHealthChangeTime = "weir_peer_health_change_time_seconds"
}

extension Metric {
    package enum Kind: String, Sendable { case counter, gauge, histogram, info }
    package enum Unit: String, Sendable, CaseIterable { case seconds, bytes }

    /// Of OpenMetrics.
    package var familyName: String {
        switch kind {
        case .counter: String(rawValue.dropLast(6))
        case .info: String(rawValue.dropLast(5))
        case .gauge, .histogram: rawValue
        }
    }

    package var unit: Unit? {
        let name = familyName
        return Unit.allCases.first { name.hasSuffix("_" + $0.rawValue) }
    }

    package var kind: Kind {
        if rawValue.hasSuffix("_total") { return .counter }
        if rawValue.hasSuffix("_info") { return .info }
        return rawValue.hasSuffix("_duration_seconds") && self != .lastReloadDuration ? .histogram : .gauge
    }
}
