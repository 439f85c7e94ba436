// SPDX-License-Identifier: Apache-2.0
//
// What nginx's API has not: which endpoints there are, and the last events. Sessions stand in APIHandler+Sessions.

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
        switch (path.first, path.count) {
        case (nil, _):
            try request.allow(.get)
            return APIAnswer(value: ["clients", "events", "sessions", "top"], shape: .list)
        case ("events", 1):
            try request.allow(.get)
            let count = try request.number("count", 1...1000) ?? 100
            return .list(context.region.events(last: count).map { EventFigures($0) })
        case ("sessions", 1): return try await sessions(request)
        case ("sessions", 2): return try await endSession(request, path[1])
        case ("clients", 2): return try await client(request, path[1])
        case ("top", 1): return try await top(request)
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
