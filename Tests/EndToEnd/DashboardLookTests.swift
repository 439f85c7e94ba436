// SPDX-License-Identifier: Apache-2.0
//
// How the dashboard looks: few brokers and many, on a desktop and on a phone, in light and dark, for eyes, for the
// keyboard and for screen readers. Pictures of all of it stay in .build/screenshots.

import Foundation
import TestSupport
import Testing

@Suite("dashboard's look", .disabled("not yet seen to pass: Chromium does not start within the deadline"))
struct DashboardLookTests {
    private func trioStream(_ trio: MosquittoTrio, _ port: UInt16) -> String {
        """
        upstream brokers { zone brokers 64k; hash $mqtt_preread_clientid consistent; \(trio.servers("max_fails=0")) }
        \(talkMatch)
        server {
            listen 127.0.0.1:\(port);
            status_zone devices;
            mqtt_preread on;
            proxy_pass brokers;
            health_check interval=200ms match=mqtt;
        }
        """
    }

    @Test("three brokers, one of them dead: everybody can use the page, at two sizes, in light and dark")
    func few() async throws {
        let trio = try await MosquittoTrio()
        let ports = try PortRegistry.take(count: 2)
        try await withWeir(main: DashboardStage.http(port: ports[1]), stream: trioStream(trio, ports[0]), workers: 2) { _ in
            let page = try await DashboardStage(port: ports[1])
            trio.brokers[1].kill()
            try await page.waitFor("unhealthy", of: trio.brokers[1].endpoint)
            var clients: [MQTTTestClient] = []
            for number in 0..<40 { clients.append(try .connected(to: .ipv4(ports[0]), id: "meter-\(number)")) }
            try await eventually("lines have ten points") {
                for client in clients { try client.ping() }
                return try page.browser.value(
                    "document.querySelector('#figures .stroke').getAttribute('d')?.split('L').length >= 10")
            }
            try await page.forEachLook { look in
                #expect(try page.browser.accessibilityFaults() == [], "\(look)")
                #expect(try !page.hasSidewaysScroll(), "\(look)")
                try page.browser.keepScreenshot("dashboard-3-\(look)")
            }
            // Motion was asked to be reduced.
            #expect(try page.browser.value("getComputedStyle(document.querySelector('.tile')).transitionDuration") == "0s")
            try page.open(trio.brokers[0].endpoint)
            try await page.forEachLook { look in
                #expect(try page.browser.accessibilityFaults() == [], "details, \(look)")
                try page.browser.keepScreenshot("dashboard-details-\(look)")
            }
            try page.browser.click("#act-drain")
            try await page.forEachLook { look in
                #expect(try page.browser.accessibilityFaults() == [], "confirmation, \(look)")
                try page.browser.keepScreenshot("dashboard-confirm-\(look)")
            }
            for client in clients { client.disconnect() }
        }
    }

    @Test("three hundred brokers: nothing sticks out, trouble comes first, and the filter leaves it alone on the page")
    func many() async throws {
        let trio = try await MosquittoTrio()
        let ports = try PortRegistry.take(count: 2)
        let others = (1...297).map { number in
            let parameters = number % 99 == 0 ? " down" : number % 70 == 0 ? " drain" : number % 50 == 0 ? " backup" : ""
            return "server 127.1.\(number / 250).\(number % 250 + 1):1883\(parameters);"
        }
        let stream = trioStream(trio, ports[0]) + """
            upstream fleet-with-a-rather-long-name-of-its-own { zone fleet 1m; \(others.joined(separator: "\n")) }

            """
        try await withWeir(main: DashboardStage.http(port: ports[1]), stream: stream) { _ in
            let page = try await DashboardStage(port: ports[1])
            let browser = page.browser
            #expect(try browser.value("document.querySelectorAll('.tile').length") == 300)
            trio.brokers[2].kill()
            try await page.waitFor("unhealthy", of: trio.brokers[2].endpoint)
            #expect(try browser.value("document.querySelector('.tile').dataset.state") == "unhealthy")
            try await page.forEachLook { look in
                #expect(try !page.hasSidewaysScroll(), "\(look)")
                #expect(try browser.accessibilityFaults() == [], "\(look)")
                try browser.keepScreenshot("dashboard-300-\(look)")
            }
            // A second's update is done in a frame or two.
            let milliseconds: Double = try browser.value(
                "new Promise((done) => { const begin = performance.now(); document.querySelector('#filter [value=trouble]')"
                    + ".click(); requestAnimationFrame(() => setTimeout(() => done(performance.now() - begin))); })")
            #expect(milliseconds < 500, "the filter took \(milliseconds) ms")
            #expect(try browser.value("[...document.querySelectorAll('.tile')].filter((tile) => tile.checkVisibility()).length") == 8)
        }
    }

    @Test("the keyboard alone opens a broker, closes it, and is where it was")
    func keyboard() async throws {
        let trio = try await MosquittoTrio()
        let ports = try PortRegistry.take(count: 2)
        try await withWeir(main: DashboardStage.http(port: ports[1]), stream: trioStream(trio, ports[0])) { _ in
            let page = try await DashboardStage(port: ports[1])
            let browser = page.browser
            try await eventually("a tile has the focus after some steps") {
                try browser.press(.tab)
                return try browser.value("document.activeElement.matches('.tile')")
            }
            let broker: String = try browser.value("document.activeElement.dataset.broker")
            let outline: String = try browser.value("getComputedStyle(document.activeElement).outlineStyle")
            #expect(outline == "solid", "focus is seen")
            try browser.press(.enter)
            #expect(try browser.value("document.getElementById('details').open"))
            #expect(try browser.value("document.getElementById('details').contains(document.activeElement)"))
            try browser.press(.escape)
            #expect(try browser.value("document.getElementById('details').open") == false)
            #expect(try browser.value("document.activeElement.dataset.broker") == broker)
        }
    }
}
