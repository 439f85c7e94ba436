// SPDX-License-Identifier: Apache-2.0
//
// The dashboard in a real Chromium, with a real Weir and real brokers: what an operator sees when brokers die and come
// back, what buttons do, where devices are, and what the page says when Weir is gone.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("dashboard", .serialized)
struct DashboardTests {
    /// Asserted is that from the kill to the red tile (the next check, the look at the region, the stream, the drawing)
    /// no more than two seconds pass, in one of three goes: a machine that has other things to do may make one late, a
    /// feed or a page that is slow makes all late. The page notes the time itself, by the clock that the test reads
    /// before it kills.
    @Test("a killed broker's tile is red with the check's reason within two seconds, and green when the broker is back")
    func killedBroker() async throws {
        let stage = try await DashboardStage()
        try await stage.run { weir in
            let victim = stage.trio.brokers[1]
            #expect(try stage.browser.text(of: "#overall") == "All 3 brokers healthy")
            let green = try stage.colour(of: victim.endpoint)
            #expect(green[1] > green[0], "green is \(green)")

            var seconds: [Double] = []
            repeat {
                if !victim.isRunning {
                    try await victim.start()
                    try await stage.waitFor("up", of: victim.endpoint)
                }
                try stage.noteChange(of: victim.endpoint)
                let killed = Date.now
                victim.kill()
                try await stage.waitFor("unhealthy", of: victim.endpoint)
                seconds.append(try stage.timeOfChange().timeIntervalSince(killed))
            } while seconds.count < 3 && seconds.min() ?? 0 > 2
            #expect(seconds.contains { $0 <= 2 }, "red after \(seconds) s")

            let red = try stage.colour(of: victim.endpoint)
            #expect(red[0] > red[1] * 2, "red is \(red)")
            let text = try stage.text(of: victim.endpoint)
            #expect(text.contains("unhealthy") && text.contains("Connection refused"), "\(text)")
            #expect(try stage.browser.text(of: "#overall") == "2 of 3 brokers healthy")
            #expect(try stage.browser.value("document.title") == "✖ 2/3 healthy · Weir")
            #expect(try stage.browser.text(of: "#announce").contains("\(victim.endpoint.text) is unhealthy"))
            try await eventually("the event is listed: \((try? stage.browser.text(of: "#events")) ?? "")") {
                let events = try stage.browser.text(of: "#events")
                return events.contains(victim.endpoint.text) && events.contains("Unhealthy")
            }

            try await victim.start()
            try await stage.waitFor("up", of: victim.endpoint)
            #expect(try stage.browser.text(of: "#overall") == "All 3 brokers healthy")
            #expect(try stage.browser.complaints() == [])
        }
    }

    @Test("a broker that is back after an outage is slow-starting, for as long as its share grows")
    func slowStart() async throws {
        let stage = try await DashboardStage()
        let broker = try await MosquittoBroker()
        let port = try PortRegistry.take()
        let gentle = """
            upstream gentle {
                zone gentle 64k;
                server \(broker.endpoint.text) slow_start=60s;
                server \(stage.trio.brokers[0].endpoint.text);
            }
            server { listen 127.0.0.1:\(port); proxy_pass gentle; health_check interval=200ms match=mqtt; }
            """
        try await stage.run(more: gentle) { _ in
            try await stage.waitFor("up", of: broker.endpoint)
            broker.kill()
            try await stage.waitFor("unhealthy", of: broker.endpoint)
            try await broker.start()
            try await stage.waitFor("slow", of: broker.endpoint)
            #expect(try stage.text(of: broker.endpoint).contains("slow-starting"))
            let count: Int = try stage.browser.value("document.querySelectorAll('.tile').length")
            #expect(try stage.browser.text(of: "#overall") == "All \(count) brokers healthy")
        }
    }

    @Test("a worker's crash is among the events, and its place shows the new process")
    func crash() async throws {
        let stage = try await DashboardStage()
        let browser = stage.browser
        try await stage.run(workers: 2, expecting: ["exited on signal 9"]) { weir in
            let worker = try #require(weir.workers.first)
            #expect(try browser.text(of: "#workers").contains("\(worker)"))
            kill(worker, SIGKILL)
            try await eventually("the event: \((try? browser.text(of: "#events")) ?? "")") {
                let events = try browser.text(of: "#events")
                return events.contains("Process ended") && events.contains("\(worker)")
            }
            try await eventually("another process: \((try? browser.text(of: "#workers")) ?? "")") {
                let workers = try browser.text(of: "#workers")
                return !workers.contains("\(worker)") && workers.matches(of: /running/).count == 2
            }
        }
    }

    @Test("sessions are counted on their tiles and in the top, and lines move")
    func figures() async throws {
        let stage = try await DashboardStage()
        let browser = stage.browser
        try await stage.run(workers: 2) { _ in
            var clients: [MQTTTestClient] = []
            for number in 0..<12 { clients.append(try .connected(to: stage.devices, id: "meter-\(number)")) }
            try await eventually("12 sessions: \((try? browser.text(of: "#figures")) ?? "")") {
                for client in clients { try client.ping() }
                return try browser.value("document.querySelector('#figures dd').innerText.trim() === '12'")
            }
            let counts: [Int] = try browser.value(
                "[...document.querySelectorAll('.tile-figures')]"
                    + ".map((figures) => Number(figures.querySelector('b').textContent))")
            #expect(counts.reduce(0, +) == 12, "\(counts)")
            try await eventually("traffic shows as a line that is not flat") {
                for client in clients { try client.ping() }
                let line: String = try browser.value(
                    "document.querySelectorAll('#figures .line .stroke')[2].getAttribute('d') ?? ''")
                let heights = Set(line.split(separator: "L").compactMap { $0.split(separator: " ").last })
                return heights.count > 1
            }
            #expect(try browser.text(of: "#workers").contains("running"))
            #expect(try browser.text(of: "#zones").contains("devices"))
            for client in clients { client.disconnect() }
        }
    }

    @Test("draining says what will happen, is done when confirmed, and is taken back by a button")
    func drainButton() async throws {
        let stage = try await DashboardStage()
        let browser = stage.browser
        func pump() throws {
            for number in 0..<30 { try MQTTTestClient.connected(to: stage.devices, id: "pump-\(number)").disconnect() }
        }
        var hasPumps: Bool { stage.trio.brokers[0].connectedIDs.contains { $0.hasPrefix("pump-") } }
        try await stage.run { _ in
            let broker = stage.trio.brokers[0].endpoint
            try stage.open(broker)
            #expect(try browser.text(of: "#details-title") == broker.text)
            try browser.click("#act-drain")
            #expect(try browser.text(of: "#confirm-title") == "Drain \(broker.text)?")
            #expect(try browser.text(of: "#confirm-text").contains("New sessions go to the other 2 healthy brokers"))
            // The safe answer is the one at hand.
            #expect(try browser.value("document.activeElement.value") == "no")
            try browser.press(.escape)
            #expect(try browser.value("document.getElementById('confirm').open") == false)
            #expect(try stage.state(of: broker) == "up")

            try stage.confirm("drain")
            try await stage.waitFor("draining", of: broker)
            try await eventually("the dialog says so: \((try? browser.text(of: "#details-result")) ?? "")") {
                try browser.text(of: "#details-result").contains("is draining")
            }
            #expect(try stage.text(of: broker).contains("draining"))
            try pump()
            #expect(!hasPumps)

            try stage.confirm("up")
            try await stage.waitFor("up", of: broker)
            try await eventually("ids come home") {
                try pump()
                return hasPumps
            }
            #expect(try browser.complaints() == [])
        }
    }

    @Test("down and weight are buttons, too; the last broker's end is said gravely")
    func downAndWeight() async throws {
        let stage = try await DashboardStage()
        let browser = stage.browser
        try await stage.run { _ in
            let endpoints = stage.trio.brokers.map(\.endpoint)
            try stage.open(endpoints[2])
            try browser.run("document.getElementById('weight').value = '3'")
            try browser.click("#act-weight button")
            #expect(try browser.text(of: "#confirm-text").contains("from about 33 % to 60 %"))
            try browser.click("#confirm-yes")
            try await eventually("weight 3: \((try? browser.text(of: "#details")) ?? "")") {
                try browser.value("[...document.querySelectorAll('#details-figures div')].some((row) => "
                    + "row.innerText.replace(/\\s+/g, ' ').trim() === 'Weight 3')")
            }
            try browser.press(.escape)

            for endpoint in endpoints[..<2] {
                try stage.open(endpoint)
                try stage.confirm("down")
                try await stage.waitFor("down", of: endpoint)
                try browser.click("#details-close")
            }
            try stage.open(endpoints[2])
            try browser.click("#act-down")
            #expect(try browser.text(of: "#confirm-text .grave").contains("new sessions are refused"))
        }
    }

    @Test("without write=on there are no buttons, and the page says why")
    func readOnly() async throws {
        let stage = try await DashboardStage()
        try await stage.run(api: "api;") { _ in
            try stage.open(stage.trio.brokers[0].endpoint)
            #expect(try stage.browser.value("document.getElementById('actions').checkVisibility()") == false)
            #expect(try stage.browser.text(of: "#read-only").contains("write=on"))
        }
    }

    @Test("a device is found at its broker, and one that is not there is not")
    func search() async throws {
        let stage = try await DashboardStage()
        let browser = stage.browser
        try await stage.run(workers: 2) { _ in
            // A name that would be markup, a path and a query if anybody forgot to escape it.
            let id = "<b>lamp/7?x=1&ä"
            let client = try MQTTTestClient.connected(to: stage.devices, id: id)
            try client.ping()
            let place = try await eventually("the device is at a broker", value: { stage.trio.place(of: id) })
            let broker = stage.trio.brokers[place].endpoint

            try browser.run("document.getElementById('search-id').focus()")
            try browser.type(id)
            try browser.press(.enter)
            try await eventually("it is found: \((try? browser.text(of: "#search-answer")) ?? "")") {
                let answer = try browser.text(of: "#search-answer")
                return answer.contains(id) && answer.contains("is at \(broker.text)")
            }
            #expect(try browser.value("document.querySelector('.tile.is-found .tile-name').textContent") == broker.text)

            try browser.run("document.getElementById('search-id').value = 'nobody'")
            try browser.click("#search button")
            try await eventually("it is not found: \((try? browser.text(of: "#search-answer")) ?? "")") {
                try browser.text(of: "#search-answer").contains("nobody is not connected")
            }
            #expect(try browser.value("document.querySelector('.tile.is-found') === null"))
            client.disconnect()
        }
    }

    @Test("the page says that Weir is gone and since when, and is alive again when Weir is back")
    func lostServer() async throws {
        let stage = try await DashboardStage()
        let browser = stage.browser
        try await stage.run { _ in }
        try await eventually("a banner") { try !browser.value("document.getElementById('lost').hidden") }
        let text = try browser.text(of: "#lost")
        #expect(text.contains("Lost Weir at ") && text.contains("trying again"), "\(text)")
        #expect(try browser.value("document.getElementById('lost').getAttribute('role')") == "alert")

        // By itself, some seconds later.
        try await stage.runAgain { try await stage.waitUntilLive() }
        try await eventually("a banner") { try !browser.value("document.getElementById('lost').hidden") }
        // At once, because somebody asks.
        try await stage.runAgain {
            try browser.click("#lost-retry")
            try await stage.waitUntilLive()
            for broker in stage.trio.brokers { try await stage.waitFor("up", of: broker.endpoint) }
        }
    }

    @Test("a reload goes by without a banner, and the page shows what is new")
    func reload() async throws {
        let stage = try await DashboardStage()
        let browser = stage.browser
        try await stage.run { weir in
            try browser.run("window.banners = 0")
            try browser.run(
                "new MutationObserver(([{ target }]) => { if (!target.hidden) window.banners += 1; })"
                    + ".observe(document.getElementById('lost'), { attributeFilter: ['hidden'] })")
            let others = "upstream others { server \(stage.trio.brokers[0].endpoint.text); }"
            try await weir.reload(main: stage.http(api: "api;"), stream: stage.stream(more: others))
            try await eventually("the new group: \((try? browser.text(of: "#groups")) ?? "")") {
                try browser.text(of: "#groups").contains("others")
            }
            try stage.open(stage.trio.brokers[1].endpoint)
            try await eventually("writing is off") { try browser.text(of: "#read-only").contains("write=on") }
            #expect(try browser.value("window.banners") == 0)
        }
    }
}
