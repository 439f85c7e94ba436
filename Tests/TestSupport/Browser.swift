// SPDX-License-Identifier: Apache-2.0
//
// A headless Chromium of its own for a test, driven by ChromeDriver, whose protocol (WebDriver) is HTTP and JSON. It
// may reach loopback and nothing else. Calls block their thread.
//
// Both programs are started by us, so that both end with the run: ChromeDriver would not take its browser along.

import Foundation
import Glibc

package final class Browser: Sendable {
    /// What the page is shown on.
    package struct Screen: Sendable {
        package var name: String
        package var width: Int
        package var height: Int
        package var isPhone: Bool

        package static let desktop = Screen(name: "desktop", width: 1440, height: 900, isPhone: false)
        package static let phone = Screen(name: "phone", width: 390, height: 844, isPhone: true)
    }

    package enum Key: Sendable {
        case tab, enter, escape, space

        fileprivate var description: (key: String, code: String, number: Int, text: String?) {
            switch self {
            case .tab: ("Tab", "Tab", 9, nil)
            case .enter: ("Enter", "Enter", 13, "\r")
            case .escape: ("Escape", "Escape", 27, nil)
            case .space: (" ", "Space", 32, " ")
            }
        }
    }

    private let directory: TemporaryDirectory
    private let browser: ManagedProcess
    private let driver: ManagedProcess
    private let endpoint: Endpoint
    private let session: String

    /// A start takes a second, and many times that in a container whose processors are busy.
    private static let patience = Duration.seconds(120)

    package init() async throws {
        let directory = try TemporaryDirectory()
        let ports = try PortRegistry.take(count: 2)
        let environment = ["HOME": directory.path, "TMPDIR": directory.path]
        let browser = try ManagedProcess(
            Self.program,
            [
                "--headless=new", "--remote-debugging-port=\(ports[0])", "--user-data-dir=\(directory.path("profile"))",
                "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-default-apps", "--disable-extensions", "--no-proxy-server",
                "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
                // The sandbox refuses root and wants what containers lack; nothing but our own page is shown.
                "--no-sandbox", "about:blank",
            ], output: directory.path("chromium.log"), environment: environment)
        let driver = try ManagedProcess(
            "chromedriver", ["--port=\(ports[1])"], output: directory.path("driver.log"), environment: environment)
        let endpoint = Endpoint.ipv4(ports[1])
        try await eventually("Chromium and ChromeDriver: \(browser.output)\(driver.output)", within: Self.patience) {
            guard browser.isRunning, driver.isRunning else {
                throw TestFault("one ended: \(browser.output)\(driver.output)")
            }
            return (try? HTTPTestClient.get("/json/version", at: .ipv4(ports[0])))?.status == 200
                && (try? HTTPTestClient.get("/status", at: endpoint))?.status == 200
        }
        self.directory = directory
        self.browser = browser
        self.driver = driver
        self.endpoint = endpoint
        let options = ["debuggerAddress": "127.0.0.1:\(ports[0])"]
        let capabilities: [String: Any] = ["goog:chromeOptions": options, "goog:loggingPrefs": ["browser": "ALL"]]
        let answer = try Self.ask(
            "POST", "/session", ["capabilities": ["alwaysMatch": capabilities]], at: endpoint)
        guard let session = (answer as? [String: Any])?["sessionId"] as? String else {
            throw TestFault("no session: \(answer)")
        }
        self.session = session
    }

    /// Chromium's helpers would write into the folder while it is removed.
    deinit { browser.killGroup() }

    /// Debian's `chromium` is a script that adds options of its own, and complaints where there is no desktop.
    private static let program =
        ["/usr/lib/chromium/chromium"].first(where: FileManager.default.isExecutableFile) ?? "chromium"

    // MARK: The page

    package func open(_ address: String) throws { _ = try ask("POST", "url", ["url": address]) }

    /// The value of an expression in the page, or of the promise that it is.
    package func value<Value>(_ expression: String, as type: Value.Type = Value.self) throws -> Value {
        let script = "return Promise.resolve(\(expression))"
        let answer = try ask("POST", "execute/sync", ["script": script, "args": [Any]()])
        guard let value = answer as? Value else { throw TestFault("\(expression) is \(answer)") }
        return value
    }

    package func text(of selector: String) throws -> String {
        try value("document.querySelector(\(Self.quoted(selector)))?.innerText ?? ''")
    }

    /// Does something in the page, whatever its value is.
    package func run(_ statement: String) throws { _ = try value("(\(statement), true)", as: Bool.self) }

    package func click(_ selector: String) throws { try click(on: "document.querySelector(\(Self.quoted(selector)))") }

    /// As a mouse would, in the middle of the element that the expression is: on whatever lies there.
    package func click(on element: String) throws {
        let place: [Double] = try value(
            "(() => { const element = \(element); element.scrollIntoView({ block: 'nearest', behavior: 'instant' });"
                + "const box = element.getBoundingClientRect();"
                + "return [box.x + box.width / 2, box.y + box.height / 2]; })()")
        for type in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let isButton = type != "mouseMoved"
            try command(
                "Input.dispatchMouseEvent",
                [
                    "type": type, "x": place[0], "y": place[1], "button": isButton ? "left" : "none",
                    "clickCount": isButton ? 1 : 0,
                ])
        }
    }

    /// As a keyboard would.
    package func press(_ key: Key) throws {
        let (name, code, number, text) = key.description
        var event: [String: Any] = ["key": name, "code": code, "windowsVirtualKeyCode": number]
        if let text { event["text"] = text }
        try command("Input.dispatchKeyEvent", event.merging(["type": "keyDown"]) { _, new in new })
        event["text"] = nil
        try command("Input.dispatchKeyEvent", event.merging(["type": "keyUp"]) { _, new in new })
    }

    package func type(_ text: String) throws { try command("Input.insertText", ["text": text]) }

    // MARK: What it is shown on

    package func show(on screen: Screen, isDark: Bool, isMotionReduced: Bool = false) throws {
        try command(
            "Emulation.setDeviceMetricsOverride",
            ["width": screen.width, "height": screen.height, "deviceScaleFactor": 1, "mobile": screen.isPhone])
        let features = [
            ["name": "prefers-color-scheme", "value": isDark ? "dark" : "light"],
            ["name": "prefers-reduced-motion", "value": isMotionReduced ? "reduce" : "no-preference"],
        ]
        try command("Emulation.setEmulatedMedia", ["features": features])
    }

    /// What the screen shows, as PNG, into a folder of the build that stays: its path is printed.
    package func keepScreenshot(_ name: String) throws {
        let answer = try command("Page.captureScreenshot", ["format": "png"])
        guard let text = (answer as? [String: Any])?["data"] as? String, let data = Data(base64Encoded: text) else {
            throw TestFault("no picture")
        }
        let folder = Self.screenshots
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let file = folder.appendingPathComponent("\(name).png")
        try data.write(to: file)
        print("screenshot: \(file.path)")
    }

    private static let screenshots = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent(".build/screenshots")

    /// What the page has complained about since the last call: errors of scripts, what the policy forbade.
    package func complaints() throws -> [String] {
        let entries = try ask("POST", "se/log", ["type": "browser"]) as? [[String: Any]] ?? []
        return entries.filter { $0["level"] as? String == "SEVERE" }.map { "\($0["message"] ?? "")" }
    }

    /// A part of the page as screen readers get it.
    package struct AccessiblePart: Sendable {
        package var role: String
        package var name: String
    }

    /// What Chromium makes of the page for them, without what it leaves out.
    package func accessibilityTree() throws -> [AccessiblePart] {
        let answer = try command("Accessibility.getFullAXTree", [:]) as? [String: Any]
        return (answer?["nodes"] as? [[String: Any]] ?? []).compactMap { node in
            guard node["ignored"] as? Bool != true else { return nil }
            func text(_ key: String) -> String { (node[key] as? [String: Any])?["value"] as? String ?? "" }
            return AccessiblePart(role: text("role"), name: text("name"))
        }
    }

    // MARK: The protocol

    @discardableResult
    private func command(_ name: String, _ parameters: [String: Any]) throws -> Any {
        try ask("POST", "goog/cdp/execute", ["cmd": name, "params": parameters])
    }

    private func ask(_ method: String, _ path: String, _ body: [String: Any]) throws -> Any {
        try Self.ask(method, "/session/\(session)/\(path)", body, at: endpoint)
    }

    private static func ask(
        _ method: String, _ target: String, _ body: [String: Any], at endpoint: Endpoint
    ) throws -> Any {
        let text = String(decoding: try JSONSerialization.data(withJSONObject: body), as: UTF8.self)
        let answer = try HTTPTestClient.request(
            method, target, at: endpoint, fields: ["Content-Type": "application/json"], body: text, within: patience)
        let whole = try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any]
        guard answer.status == 200, let value = whole?["value"] else { throw TestFault("\(target): \(answer.text)") }
        return value
    }

    private static func quoted(_ text: String) -> String {
        let data = try? JSONSerialization.data(withJSONObject: [text])
        return data.map { String(String(decoding: $0, as: UTF8.self).dropFirst().dropLast()) } ?? "''"
    }
}
