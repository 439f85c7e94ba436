// SPDX-License-Identifier: Apache-2.0
//
// The body of `POST` and `PATCH` of a server: JSON with known names only, so that a typing error is no silent nothing.

import ControlLink
import Foundation
import HTTPTypes
import NIOCore

struct ServerRequest: Decodable {
    let parameters: ServerParameters

    private enum Key: String, CodingKey, CaseIterable {
        case id, server, service, weight, backup, down, drain, parent, host
        case maxConnections = "max_conns"
        case maxFails = "max_fails"
        case failTimeout = "fail_timeout"
        case slowStart = "slow_start"
    }

    private struct AnyKey: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// nginx takes `"10s"` and `10`.
    private struct Time: Decodable {
        var text: String
        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let number = try? value.decode(UInt32.self) {
                text = "\(number)"
            } else {
                text = try value.decode(String.self)
            }
        }
    }

    init(from decoder: any Decoder) throws {
        for key in try decoder.container(keyedBy: AnyKey.self).allKeys where Key(rawValue: key.stringValue) == nil {
            throw APIError.format("unknown parameter \"\(key.stringValue)\"")
        }
        let body = try decoder.container(keyedBy: Key.self)
        for key in [Key.id, .service, .parent, .host] where body.contains(key) {
            throw APIError(AdminRefusal(.serverImmutable, "\"\(key.rawValue)\" cannot be changed"))
        }
        var parameters = ServerParameters()
        parameters.server = try body.decodeIfPresent(String.self, forKey: .server)
        parameters.weight = try body.decodeIfPresent(Int.self, forKey: .weight)
        parameters.maxConnections = try body.decodeIfPresent(Int.self, forKey: .maxConnections)
        parameters.maxFails = try body.decodeIfPresent(Int.self, forKey: .maxFails)
        parameters.failTimeout = try body.decodeIfPresent(Time.self, forKey: .failTimeout)?.text
        parameters.slowStart = try body.decodeIfPresent(Time.self, forKey: .slowStart)?.text
        parameters.isBackup = try body.decodeIfPresent(Bool.self, forKey: .backup)
        parameters.isDown = try body.decodeIfPresent(Bool.self, forKey: .down)
        parameters.isDraining = try body.decodeIfPresent(Bool.self, forKey: .drain)
        self.parameters = parameters
    }

    /// A page of another site can send a form without asking, and JSON only after asking, which nobody allows it.
    init(_ request: AdminRequest) throws(APIError) {
        let type = request.headers[.contentType]?.split(separator: ";").first?.trimmingCharacters(in: .whitespaces)
        guard type?.lowercased() == "application/json" else { throw .json("Content-Type is not application/json") }
        do {
            self = try JSONDecoder().decode(ServerRequest.self, from: Data(request.body.readableBytesView))
        } catch let error as APIError {
            throw error
        } catch DecodingError.dataCorrupted(let context) where context.codingPath.isEmpty {
            throw .json("the body is no JSON")
        } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.dataCorrupted(let context)
        {
            let name = context.codingPath.first?.stringValue
            throw name.map { .format("invalid value of \"\($0)\"") } ?? .json("the body is no JSON object")
        } catch {
            throw .json("the body is no JSON object")
        }
    }
}
