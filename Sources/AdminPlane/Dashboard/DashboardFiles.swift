// SPDX-License-Identifier: Apache-2.0
//
// The page's files, which stand in `Page` as an editor wants them and are compiled in, so that the program can be moved
// anywhere by itself.

import HTTPTypes
import HummingbirdCore
import NIOCore

enum DashboardFiles {
    /// Nothing from elsewhere, nothing inline, in nobody's frame; a form is sent nowhere but read by the scripts.
    static let policy = """
        default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
        form-action 'none'; frame-ancestors 'none'
        """

    static let index = file("text/html; charset=utf-8", PackageResources.index_html)

    /// What `index` refers to, by name.
    static let others: [String: Response] = [
        "icon.svg": file("image/svg+xml", PackageResources.icon_svg),
        "theme.css": file(style, PackageResources.theme_css),
        "page.css": file(style, PackageResources.page_css),
        "tiles.css": file(style, PackageResources.tiles_css),
        "api.js": file(script, PackageResources.api_js),
        "consequences.js": file(script, PackageResources.consequences_js),
        "dashboard.js": file(script, PackageResources.dashboard_js),
        "details.js": file(script, PackageResources.details_js),
        "dom.js": file(script, PackageResources.dom_js),
        "feed.js": file(script, PackageResources.feed_js),
        "lines.js": file(script, PackageResources.lines_js),
        "model.js": file(script, PackageResources.model_js),
        "panels.js": file(script, PackageResources.panels_js),
        "search.js": file(script, PackageResources.search_js),
        "tiles.js": file(script, PackageResources.tiles_js),
        "top.js": file(script, PackageResources.top_js),
        "words.js": file(script, PackageResources.words_js),
    ]

    private static let style = "text/css; charset=utf-8"
    private static let script = "text/javascript; charset=utf-8"

    private static func file(_ type: String, _ bytes: [UInt8]) -> Response {
        Response(
            status: .ok, headers: [.contentType: type, .contentSecurityPolicy: policy],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}
