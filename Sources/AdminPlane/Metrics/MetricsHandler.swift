// SPDX-License-Identifier: Apache-2.0
//
// `prometheus;` in a location: GET tells the metrics, in the format that the scraper prefers.

import HTTPTypes
import HummingbirdCore
import NIOCore

package struct MetricsHandler: AdminHandler {
    private let context: AdminContext

    package init(context: AdminContext) { self.context = context }

    package func respond(to request: AdminRequest) async -> Response {
        guard request.method == .get || request.method == .head else {
            return .methodNotAllowed(allow: "GET, HEAD")
        }
        let format = MetricFormat(accept: request.headers[.accept])
        let text = Scrape.text(of: context.region, context.configuration, format: format)
        return Response(
            status: .ok, headers: [.contentType: format.contentType, .vary: "Accept"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: text)))
    }
}
