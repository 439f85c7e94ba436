// SPDX-License-Identifier: Apache-2.0
//
// Answers that need no handler: nginx's small error pages, redirects, and the headers that every answer carries.

import HTTPTypes
import HummingbirdCore
import NIOCore

extension HTTPResponse.Status {
    /// With its words where they are known; `Status(code:)` has none.
    static func named(_ code: Int) -> Self {
        let known: [Self] = [
            .ok, .created, .accepted, .noContent, .movedPermanently, .found, .seeOther, .notModified,
            .temporaryRedirect, .permanentRedirect, .badRequest, .unauthorized, .forbidden, .notFound,
            .methodNotAllowed, .notAcceptable, .requestTimeout, .conflict, .gone, .contentTooLarge,
            .unsupportedMediaType, .tooManyRequests, .internalServerError, .notImplemented, .badGateway,
            .serviceUnavailable, .gatewayTimeout,
        ]
        return known.first { $0.code == code } ?? Self(code: code)
    }
}

extension Response {
    /// nginx's page for a status.
    static func page(_ status: HTTPResponse.Status) -> Response {
        let title = "\(status.code) \(status.reasonPhrase)"
        return Response(
            status: status, type: "text/html",
            text: """
                <html>\r
                <head><title>\(title)</title></head>\r
                <body>\r
                <center><h1>\(title)</h1></center>\r
                <hr><center>weir</center>\r
                </body>\r
                </html>\r\n
                """)
    }

    /// For a method that the content does not have. `allow` as in RFC 9110, section 10.2.1.
    package static func methodNotAllowed(allow: String) -> Response {
        var response = page(.methodNotAllowed)
        response.headers[.allow] = allow
        return response
    }

    package init(status: HTTPResponse.Status, type: String, text: String) {
        self.init(
            status: status, headers: [.contentType: type], body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    /// What a browser must not do with an answer. A handler's own words stand.
    mutating func addGeneralHeaders(date: String) {
        let general: HTTPFields = [
            .server: "weir",
            .date: date,
            .cacheControl: "no-store",
            .xContentTypeOptions: "nosniff",
            .contentSecurityPolicy: "default-src 'none'; frame-ancestors 'none'",
            .xFrameOptions: "DENY",
            .referrerPolicy: "no-referrer",
            .crossOriginResourcePolicy: "same-origin",
        ]
        for field in general where headers[field.name] == nil { headers.append(field) }
    }
}

extension HTTPField.Name {
    static let xFrameOptions = HTTPField.Name("X-Frame-Options")!
    static let referrerPolicy = HTTPField.Name("Referrer-Policy")!
    static let secFetchSite = HTTPField.Name("Sec-Fetch-Site")!
    static let host = HTTPField.Name("Host")!
}
