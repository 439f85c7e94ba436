// SPDX-License-Identifier: Apache-2.0
//
// What nginx's API has not: the last events.

import HTTPTypes
import SharedState

private struct EventFigures: Encodable {
    var at: String
    var kind: String
    /// With `kind` it names the event: where it is seen again, it is the same.
    var number: UInt64
    var text: String

    init(_ event: RegionEvent) {
        at = HTTPDate.timestamp(milliseconds: event.wallMilliseconds)
        kind = event.kind.name
        number = event.number
        text = event.text
    }
}

extension EventKind {
    fileprivate var name: String {
        switch self {
        case .started: "started"
        case .reloaded: "reloaded"
        case .reloadRefused: "reload_refused"
        case .processDied: "process_died"
        case .serversChanged: "servers_changed"
        case .peerUp: "peer_up"
        case .peerUnhealthy: "peer_unhealthy"
        case .peerChecking: "peer_checking"
        }
    }
}

extension APIHandler {
    func answerWeir(_ request: AdminRequest, _ path: [String]) async throws(APIError) -> APIAnswer {
        switch path {
        case []:
            try request.allow(.get)
            return APIAnswer(value: ["events"], shape: .list)
        case ["events"]:
            try request.allow(.get)
            let count = try request.number("count", 1...1000) ?? 100
            return .list(context.region.events(last: count).map { EventFigures($0) })
        default: throw .pathNotFound
        }
    }
}

extension AdminRequest {
    /// A number of the query; nil: it is not there.
    func number(_ name: String, _ range: ClosedRange<Int>) throws(APIError) -> Int? {
        guard let text = queryValue(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw .badQuery("\"\(name)\" is no number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
}
