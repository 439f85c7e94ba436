// SPDX-License-Identifier: Apache-2.0
//
// What the prober finds, in words for the error log (ControlLink/ChildLog.swift).

import Health
import SharedState
import Vocabulary

extension PeerChange {
    /// nginx's words where it has them.
    var message: String {
        let peer = "health check \"\(checkName)\" of peer \(name) in upstream \"\(group)\""
        switch cause {
        case .passed(let count):
            let reason = count == 1 ? "the check passed" : "\(count) checks in a row passed"
            return "peer is \(stateText) while checking status, \(peer): \(reason)"
        case .failed(let fault): return "peer is \(stateText) while \(fault.activity), \(peer): \(fault.text)"
        case .mandatory:
            return "peer is \(stateText) while reconfiguring, \(peer): \"mandatory\" asks for a check first"
        case .unchecked:
            return "peer is \(stateText) while reconfiguring, \(peer): no check that failed is configured any more"
        }
    }

    /// For the ring of events: the server first, and no more than fits a line.
    var eventText: String {
        let reason =
            switch cause {
            case .passed(let count): count == 1 ? "the check passed" : "\(count) checks in a row passed"
            case .failed(let fault): fault.text
            case .mandatory: "\"mandatory\" asks for a check first"
            case .unchecked: "no check that failed is configured any more"
            }
        return "\(name) in \(group): \(reason)"
    }

    var eventKind: EventKind {
        switch state {
        case .healthy: .peerUp
        case .checking: .peerChecking
        case .unhealthy: .peerUnhealthy
        }
    }

    var level: LogLevel { state == .unhealthy ? .warn : .notice }

    private var stateText: String {
        switch state {
        case .healthy: "healthy"
        case .checking: "checking"
        case .unhealthy: "unhealthy"
        }
    }
}

extension HealthFault {
    fileprivate var activity: String {
        switch self {
        case .connectFailed, .connectTimedOut: "connecting to upstream"
        case .handshakeFailed, .handshakeTimedOut: "SSL handshaking to upstream"
        case .sessionFailed, .sendFailed, .sendTimedOut, .receiveFailed, .noAnswer, .closedEarly, .wrongAnswer,
            .expressionTooCostly:
            "checking status"
        }
    }
}
