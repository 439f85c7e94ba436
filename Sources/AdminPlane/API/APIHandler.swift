// SPDX-License-Identifier: Apache-2.0
//
// `api`: finds the endpoint of a path and a version, and turns what it answers into a response. A version that is older
// than an endpoint or a field does not have it, so that clients in the field read what they know.
//
//   /                     versions                         [4, 5, …]
//   /openapi.json         the description of all this
//   /{version}/…          nginx's API                      APIHandler+Process, +Stream, +Servers
//   /weir/…               what nginx has not               APIHandler+Weir

import ControlLink
import Foundation
import HTTPTypes
import HummingbirdCore
import NIOCore

package struct APIHandler: AdminHandler {
    static let versions = 4...9

    let context: AdminContext
    let baselines = CounterBaselines()

    package init(context: AdminContext) { self.context = context }

    package func respond(to request: AdminRequest) async -> Response {
        if request.method == .options { return Self.options(request) }
        do throws(APIError) {
            if request.segments == ["openapi.json"] {
                guard request.method == .get || request.method == .head else { throw .methodDisabled }
                return response(Data(PackageResources.openapi_json), status: .ok, to: request)
            }
            if request.method.changes, !request.isWritable { throw .methodDisabled }
            let answer = try await answer(request)
            let json: Data
            do { json = try answer.json(fields: request.queryValue("fields")) } catch {
                throw APIError(status: .internalServerError, code: "EncodingError", text: "\(error)")
            }
            var response = response(json, status: answer.status, to: request)
            if let location = answer.location { response.headers[.location] = location }
            return response
        } catch {
            return Self.response(error)
        }
    }

    private func answer(_ request: AdminRequest) async throws(APIError) -> APIAnswer {
        guard let first = request.segments.first else {
            try request.allow(.get)
            return APIAnswer(value: Array(Self.versions), shape: .list)
        }
        let rest = Array(request.segments.dropFirst())
        if first == "weir" { return try await answerWeir(request, rest) }
        guard let version = Int(first), Self.versions.contains(version), String(version) == first else {
            throw .unknownVersion
        }
        guard let group = rest.first else {
            try request.allow(.get)
            return APIAnswer(value: Self.groups(version), shape: .list)
        }
        let below = Array(rest.dropFirst())
        switch group {
        case "stream": return try await answerStream(request, below, version)
        case "http": return try answerHTTP(request, below)
        default: return try answerProcess(request, rest, version)
        }
    }

    private static func groups(_ version: Int) -> [String] {
        var groups = ["nginx", "processes", "connections", "slabs", "http", "stream", "ssl"]
        if version >= 5 { groups.append("resolvers") }
        if version >= 9 { groups.append("workers") }
        return groups
    }

    // MARK: Responses

    private func response(_ json: Data, status: HTTPResponse.Status, to request: AdminRequest) -> Response {
        guard status != .noContent else { return Response(status: status) }
        var headers: HTTPFields = [.contentType: "application/json"]
        if status == .ok, !request.method.changes {
            let digest = Digest.sha1(json).prefix(12).map { String(256 + Int($0), radix: 16).dropFirst() }.joined()
            let tag = "\"\(digest)\""
            headers[.eTag] = tag
            headers[.cacheControl] = "no-cache"
            if request.headers[.ifNoneMatch].map({ Self.matches($0, tag) }) ?? false {
                return Response(status: .notModified, headers: headers)
            }
        }
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: json)))
    }

    /// RFC 9110, section 13.1.2: weak comparison.
    private static func matches(_ header: String, _ tag: String) -> Bool {
        header == "*"
            || header.split(separator: ",").contains { part in
                let part = part.trimmingCharacters(in: .whitespaces)
                return (part.hasPrefix("W/") ? String(part.dropFirst(2)) : part) == tag
            }
    }

    private static func response(_ error: APIError) -> Response {
        let requestID = (0..<2).map { _ in
            let digits = String(UInt64.random(in: .min ... .max), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let json = (try? encoder.encode(APIErrorBody(error, requestID: requestID))) ?? Data()
        var response = Response(
            status: error.status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: json)))
        if error.status == .methodNotAllowed { response.headers[.allow] = "GET, HEAD, OPTIONS" }
        return response
    }

    private static func options(_ request: AdminRequest) -> Response {
        let changes = request.isWritable ? ", POST, PATCH, DELETE" : ""
        return Response(status: .noContent, headers: [.allow: "GET, HEAD, OPTIONS" + changes])
    }
}

extension AdminRequest {
    /// HEAD is GET without the body.
    var effectiveMethod: HTTPRequest.Method { method == .head ? .get : method }

    func allow(_ methods: HTTPRequest.Method...) throws(APIError) {
        guard methods.contains(effectiveMethod) else { throw .methodDisabled }
    }
}
