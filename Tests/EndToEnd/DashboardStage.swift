// SPDX-License-Identifier: Apache-2.0
//
// What dashboard tests share: a Weir that serves its page, and how a test finds things on it.

import Foundation
import TestSupport

/// The page of one Weir in a browser.
struct DashboardStage {
    let browser: Browser
    let address: String

    /// `http { }` with the page at the root and the API beside it.
    static func http(port: UInt16, api: String = "api write=on;") -> String {
        """
        http {
            server {
                listen 127.0.0.1:\(port);
                location / { dashboard; }
                location /api/ { \(api) }
            }
        }
        """
    }

    /// Opens the page and waits until it is alive.
    init(port: UInt16, on screen: Browser.Screen = .desktop, isDark: Bool = false) async throws {
        browser = try await Browser()
        address = "http://127.0.0.1:\(port)/"
        try browser.show(on: screen, isDark: isDark)
        try browser.open(address)
        try await waitUntilLive()
    }

    func waitUntilLive() async throws {
        try await eventually("the page is alive: \((try? browser.text(of: "body")) ?? "")") {
            try browser.value("document.querySelectorAll('.tile').length > 0 && document.getElementById('lost').hidden")
        }
    }

    // MARK: Tiles

    private func tile(_ broker: Endpoint) -> String {
        "[...document.querySelectorAll('.tile')].find((tile) => tile.querySelector('.tile-name').textContent === "
            + "'\(broker.text)')"
    }

    /// The state's name, "" when there is no such tile.
    func state(of broker: Endpoint) throws -> String { try browser.value("\(tile(broker))?.dataset.state ?? ''") }

    func text(of broker: Endpoint) throws -> String { try browser.value("\(tile(broker)).innerText") }

    func open(_ broker: Endpoint) throws { let _: Bool = try browser.value("(\(tile(broker)).click(), true)") }

    /// The colour of a tile's word, as "r,g,b".
    func colour(of broker: Endpoint) throws -> [Double] {
        let text: String = try browser.value("getComputedStyle(\(tile(broker)).querySelector('.tile-state')).color")
        return text.split { !($0.isNumber || $0 == ".") }.compactMap { Double($0) }
    }

    func waitFor(
        _ state: String, of broker: Endpoint, within duration: Duration = .seconds(20)
    ) async throws {
        try await eventually("the tile of \(broker.text) is \(state), not \((try? self.state(of: broker)) ?? "")", within: duration) {
            try self.state(of: broker) == state
        }
    }

    // MARK: The whole page

    /// Nothing but down and up: no part of the page is wider than the screen.
    func hasSidewaysScroll() throws -> Bool {
        try browser.value("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    }

    /// In light and dark, on a desktop and on a phone; each is looked at for accessibility and kept as a picture.
    func forEachLook(_ body: (_ look: String) async throws -> Void) async throws {
        for screen in [Browser.Screen.desktop, .phone] {
            for isDark in [false, true] {
                try browser.show(on: screen, isDark: isDark, isMotionReduced: true)
                try await body("\(screen.name)-\(isDark ? "dark" : "light")")
            }
        }
    }
}
