// SPDX-License-Identifier: Apache-2.0
//
// The API's servers of one upstream, as tests read and change them.

import Foundation
import TestSupport

struct ServersAPI {
    let endpoint: Endpoint
    let upstream: String

    private var path: String { "/api/9/stream/upstreams/\(upstream)/servers/" }

    struct Server: Decodable, Equatable {
        var id: Int
        var server: String
        var weight: Int
        var down: Bool
        var drain: Bool
    }

    func servers() throws -> [Server] {
        try JSONDecoder().decode([Server].self, from: Data(HTTPTestClient.get(path, at: endpoint).body))
    }

    @discardableResult
    func call(_ method: String, _ id: Int? = nil, _ body: String = "") throws -> HTTPTestAnswer {
        try HTTPTestClient.request(
            method, path + (id.map { "\($0)" } ?? ""), at: endpoint,
            fields: body.isEmpty ? [:] : ["Content-Type": "application/json"], body: body)
    }

    func add(_ broker: NullBroker, _ more: String = "") throws -> HTTPTestAnswer {
        try call("POST", nil, "{\"server\":\"\(broker.endpoint.text)\"\(more)}")
    }

    /// What the configuration needs for it.
    static func main(_ port: UInt16) -> String {
        "http { server { listen 127.0.0.1:\(port); location /api { api write=on; } } }"
    }
}
