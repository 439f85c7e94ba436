// SPDX-License-Identifier: Apache-2.0
//
// Why the API says no: nginx's error object, with nginx's codes where it has one for the case.

import ControlLink
import HTTPTypes

struct APIError: Error, Equatable {
    var status: HTTPResponse.Status
    var code: String
    var text: String

    static let unknownVersion = APIError(status: .notFound, code: "UnknownVersion", text: "unknown version")
    static let pathNotFound = APIError(status: .notFound, code: "PathNotFound", text: "path not found")
    static let methodDisabled = APIError(status: .methodNotAllowed, code: "MethodDisabled", text: "method disabled")
    static let upstreamNotFound = APIError(status: .notFound, code: "UpstreamNotFound", text: "upstream not found")
    static let serverNotFound = APIError(
        status: .notFound, code: "UpstreamServerNotFound", text: "server with such ID does not exist")
    static let zoneNotFound = APIError(status: .notFound, code: "ServerZoneNotFound", text: "server zone not found")
    static let workerNotFound = APIError(status: .notFound, code: "WorkerNotFound", text: "worker not found")
    static let clientNotFound = APIError(status: .notFound, code: "ClientNotFound", text: "no such client is connected")
    static let sessionNotFound = APIError(status: .notFound, code: "SessionNotFound", text: "no such session is open")

    static func json(_ text: String) -> APIError {
        APIError(status: .unsupportedMediaType, code: "JsonError", text: text)
    }
    static func format(_ text: String) -> APIError {
        APIError(status: .badRequest, code: "UpstreamConfFormatError", text: text)
    }
    static func badQuery(_ text: String) -> APIError {
        APIError(status: .badRequest, code: "QueryFormatError", text: text)
    }
}

extension APIError {
    init(_ refusal: AdminRefusal) {
        let status: HTTPResponse.Status =
            switch refusal.code {
            case .upstreamNotFound, .serverNotFound: .notFound
            case .upstreamStatic, .serverImmutable, .badAddress, .badWeight, .format: .badRequest
            case .entryExists: .conflict
            case .busy, .unreachable: .serviceUnavailable
            case .failed: .internalServerError
            }
        self.init(status: status, code: refusal.code.rawValue, text: refusal.text)
    }
}

/// The body of an answer that says no.
struct APIErrorBody: Encodable {
    struct Object: Encodable {
        var status: Int
        var text: String
        var code: String
    }
    var error: Object
    var request_id: String
    var href = "https://nginx.org/en/docs/http/ngx_http_api_module.html"

    init(_ error: APIError, requestID: String) {
        self.error = Object(status: error.status.code, text: error.text, code: error.code)
        request_id = requestID
    }
}
