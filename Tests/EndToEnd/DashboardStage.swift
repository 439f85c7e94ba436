// SPDX-License-Identifier: Apache-2.0
//
// What dashboard tests share: three brokers, a Weir before them that serves its page, a browser that shows it, and how a
// test finds things there.

import Foundation
import TestSupport
import Testing

struct DashboardStage {
    let trio: MosquittoTrio
    let browser: Browser
    /// For devices, and for the page.
    private let ports: [UInt16]

    init() async throws {
        trio = try await MosquittoTrio()
        browser = try await Browser()
        ports = try PortRegistry.take(count: 2)
    }

    // MARK: Weir

    /// Where devices connect.
    var devices: Endpoint { .ipv4(ports[0]) }

    /// The page at the root and the API beside it.
    func http(api: String = "api write=on;") -> String {
        """
        http {
            server {
                listen 127.0.0.1:\(ports[1]);
                location / { dashboard; }
                location /api/ { \(api) }
            }
        }
        """
    }

    /// Checks are frequent, so that a dead broker is noticed at once, and patient, so that a machine that is busy kills
    /// none that lives. `more` stands before it.
    func stream(more: String = "") -> String {
        """
        upstream brokers { zone brokers 64k; hash $mqtt_preread_clientid consistent; \(trio.servers("max_fails=0")) }
        \(more)
        \(talkMatch)
        server {
            listen 127.0.0.1:\(ports[0]);
            status_zone devices;
            mqtt_preread on;
            proxy_pass brokers;
            health_check interval=200ms match=mqtt;
        }

        """
    }

    /// A Weir for the length of `body`, with its page open and alive.
    func run(
        api: String = "api write=on;", more: String = "", workers: Int = 1, expecting: [String] = [],
        _ body: (WeirInstance) async throws -> Void
    ) async throws {
        try await withWeir(
            main: http(api: api), stream: stream(more: more), workers: workers, expecting: expecting
        ) { weir in
            try browser.show(on: .desktop, isDark: false)
            try browser.open("http://127.0.0.1:\(ports[1])/")
            try await waitUntilLive()
            for broker in trio.brokers { try await waitFor("up", of: broker.endpoint) }
            try await body(weir)
        }
    }

    /// The same Weir for the length of `body`, while the page stays as it is.
    func runAgain(_ body: () async throws -> Void) async throws {
        try await withWeir(main: http(), stream: stream()) { _ in try await body() }
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

    func open(_ broker: Endpoint) throws { try browser.click(on: tile(broker)) }

    /// The colour of a tile's word: red, green, blue.
    func colour(of broker: Endpoint) throws -> [Double] {
        let text: String = try browser.value("getComputedStyle(\(tile(broker)).querySelector('.tile-state')).color")
        return text.split { !($0.isNumber || $0 == ".") }.compactMap { Double($0) }
    }

    func waitFor(_ state: String, of broker: Endpoint) async throws {
        try await eventually("the tile of \(broker.text) is \(state), not \((try? self.state(of: broker)) ?? "")") {
            try self.state(of: broker) == state
        }
    }

    /// When this tile will have another state, the page will note the time by itself, however late the test comes to ask.
    func noteChange(of broker: Endpoint) throws {
        try browser.run(
            "new MutationObserver((_, observer) => { window.changedAt = Date.now(); observer.disconnect(); })"
                + ".observe(\(tile(broker)), { attributeFilter: ['data-state'] })")
    }

    /// What the page has noted.
    func timeOfChange() throws -> Date {
        Date(timeIntervalSince1970: try browser.value("window.changedAt", as: Double.self) / 1000)
    }

    // MARK: The whole page

    /// Presses a button of the open broker, and the one that confirms.
    func confirm(_ action: String) throws {
        try browser.click("#act-\(action)")
        try browser.click("#confirm-yes")
    }

    /// Nothing but down and up: no part of the page is wider than the screen.
    private func hasSidewaysScroll() throws -> Bool {
        try browser.value("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    }

    /// In light and dark, on a desktop and on a phone, the page is for everybody, and is kept as a picture of this name.
    func expectGoodLooks(_ name: String) throws {
        for screen in [Browser.Screen.desktop, .phone] {
            for isDark in [false, true] {
                try browser.show(on: screen, isDark: isDark, isMotionReduced: true)
                let look = "dashboard-\(name)-\(screen.name)-\(isDark ? "dark" : "light")"
                try browser.keepScreenshot(look)
                let faults = try browser.accessibilityFaults()
                #expect(faults.isEmpty, "\(look): \(faults.joined(separator: "\n"))")
                #expect(try !hasSidewaysScroll(), "\(look)")
            }
        }
    }
}
