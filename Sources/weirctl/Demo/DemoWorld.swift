// SPDX-License-Identifier: Apache-2.0
//
// Everything that the demo runs, and the one loop that drives it: brokers, Weir, sensors, an operator and a back office
// that command them, and the logs that are read along. Both faces of the demo, the screen and the script, stand on it.

import Glibc
import LinuxIO
import MQTTClient
import SharedState
import Vocabulary

final class DemoWorld {
    let ports: DemoPorts
    let certificates: DemoCertificates
    let brokers: [BrokerProcess]
    let weir: WeirProcess
    let sensors: [Sensor]
    /// Publishes commands through Weir, as people would.
    let operatorLink: DeviceLink
    let backOffice: BackOffice
    var observers: [Observer] = []
    /// Who tries whether Weir lets it in.
    var guests: [DeviceLink] = []

    /// By the broker's address; empty as long as Weir has no region to read.
    private var reports: [String: PeerReport] = [:]
    /// The last lines of Weir's logs and of the demo's own doings, oldest first.
    private(set) var logLines: [String] = []
    private(set) var isInterrupted = false
    private var isResized = false
    private var areDevicesOn = false

    private var view = BrokerView()
    private var routes = SessionRoutes()
    private var errorTail: LogTail
    private var accessTail: LogTail
    private let signals: SignalQueue
    private var nextLook: UInt64 = 0
    private static let lookMilliseconds: UInt64 = 100
    private static let logLinesMax = 200

    /// Writes the configurations and starts nothing.
    init(
        programs: Programs, ports: DemoPorts, folder: borrowing DemoFolder, certificates: DemoCertificates,
        security: DeviceSecurity, pace: DemoPace
    ) throws(Errno) {
        self.ports = ports
        self.certificates = certificates
        signals = try SignalQueue([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH])
        var brokers: [BrokerProcess] = []
        for number in 1...3 {
            brokers.append(
                try BrokerProcess(
                    number: number, endpoints: ports.brokerEndpoints, program: programs.mosquitto, folder: folder))
        }
        self.brokers = brokers
        weir = try WeirProcess(ports: ports, certificates: certificates, program: programs.weir, folder: folder)
        errorTail = LogTail(path: weir.errorLog)
        accessTail = LogTail(path: weir.accessLog)
        let now = monotonicMilliseconds()
        let ports = ports
        sensors = (1...6).map { number in
            // Even ones come over IPv6, odd ones from an IPv4 address each.
            if number % 2 == 0, let target = ports.weirIPv6 {
                return Sensor(
                    number: number, to: target, from: nil, intervalMilliseconds: pace.readingMilliseconds, now: now)
            }
            return Sensor(
                number: number, to: ports.weirIPv4, from: IPAddress(ipv4: 0x7F00_0064 + UInt32(number)),
                intervalMilliseconds: pace.readingMilliseconds, now: now)
        }
        operatorLink = DeviceLink(clientID: "weir-demo-operator", to: ports.weirIPv4)
        backOffice = BackOffice(
            to: ports.weirSecure, secured: security, sensors: sensors.map(\.id),
            intervalMilliseconds: pace.switchingMilliseconds, now: now)
    }

    // MARK: Life

    /// Brokers first, then Weir once they listen, then the devices. Ends early when the demo is to end.
    func start() throws(DemoFault) {
        for broker in brokers { try startOrFail("mosquitto") { () throws(Errno) in try broker.start() } }
        let areListening = wait(8000) { self.brokers.allSatisfy { Self.accepts($0.endpoint) } }
        if isInterrupted { return }
        // A port may have been taken since it was chosen: then another listens there, and our broker has ended.
        guard areListening, brokers.allSatisfy({ $0.noticeEnd() == nil && $0.isRunning }) else {
            throw DemoFault(description: quote("A broker does not come up.", brokers.flatMap(\.outputLines)))
        }
        try startOrFail("weir") { () throws(Errno) in try weir.start() }
        _ = wait(8000) { self.weir.isListening || !self.weir.isRunning }
        if isInterrupted { return }
        guard weir.isListening else {
            let lines = weir.outputLines + LogTail.lastLines(of: weir.errorLog, 20)
            throw DemoFault(description: quote("Weir does not come up.", lines))
        }
        areDevicesOn = true
    }

    /// Every program ended and waited for; how Weir ended.
    @discardableResult
    func stop() -> Processes.Ended? {
        areDevicesOn = false
        for link in links { link.close() }
        let ended = weir.stop()
        for broker in brokers { broker.stop() }
        return ended
    }

    private func startOrFail(_ name: String, _ start: () throws(Errno) -> Void) throws(DemoFault) {
        do throws(Errno) { try start() } catch {
            throw DemoFault(description: "Cannot start \(name): \(error.numberedText)")
        }
    }

    private func quote(_ text: String, _ lines: [String]) -> String {
        ([text] + lines.map { "    " + $0 }).joined(separator: "\n")
    }

    static func accepts(_ endpoint: IPEndpoint) -> Bool {
        let address = SocketAddress(endpoint)
        do throws(Errno) {
            let probe = try Sockets.makeStream(for: address)
            _ = try Sockets.connect(probe.number, to: address)
            var entries = [PollEntry(probe.number, .writable)]
            _ = try Poll.wait(&entries, milliseconds: 500)
            return try Sockets.takeError(probe.number) == nil && entries[0].happened == .writable
        } catch {
            return false
        }
    }

    /// Where people look.
    var page: String { "http://\(ports.weirHTTP.text)/" }

    // MARK: Doings

    func note(_ text: String) {
        logLines.append(text)
        logLines.removeFirst(max(0, logLines.count - Self.logLinesMax))
    }

    /// By its number, 1 … 3: stops a broker that runs, starts one that does not.
    func toggleBroker(_ number: Int) {
        let broker = brokers[number - 1]
        if broker.isRunning {
            broker.stop()
            note("demo: broker \(number) stopped")
        } else {
            do throws(Errno) {
                try broker.start()
                note("demo: broker \(number) started")
            } catch {
                note("demo: broker \(number) does not start: \(error.numberedText)")
            }
        }
    }

    func reload() {
        weir.reload()
        note("demo: reload (SIGHUP to process \(weir.pid ?? 0))")
    }

    /// Through Weir to the operator's broker, over the bridge to each sensor's, and back through Weir.
    @discardableResult
    func command(_ text: String, _ sensor: Sensor) -> Bool {
        operatorLink.publish(
            topic: Sensor.commandTopic(sensor.id), payload: Array(text.utf8), now: monotonicMilliseconds())
    }

    func broker(of sensor: Sensor) -> BrokerProcess? { broker(of: sensor.link) }

    func broker(of link: DeviceLink) -> BrokerProcess? {
        guard link.isConnected, let client = link.localAddress,
            let text = routes.broker(ofClient: client.text)
        else { return nil }
        return brokers.first { $0.endpoint.text == text }
    }

    func report(of broker: BrokerProcess) -> PeerReport? { reports[broker.endpoint.text] }

    func generation() -> UInt32? { view.generation(of: weir) }

    // MARK: Loop

    /// In the order in which a turn gives them what happened.
    private var links: [DeviceLink] {
        sensors.map(\.link) + observers.map(\.link) + [operatorLink, backOffice.link] + guests
    }

    /// Turns until the condition holds; false when the time has passed or the demo is to end.
    func wait(_ milliseconds: UInt64, until condition: () -> Bool) -> Bool {
        let deadline = monotonicMilliseconds() + milliseconds
        while !condition() {
            let now = monotonicMilliseconds()
            guard now < deadline, !isInterrupted else { return false }
            turn(until: min(deadline, now + 20), input: nil)
        }
        return true
    }

    /// Waits for whatever comes first and does it; true when `input` can be read.
    @discardableResult
    func turn(until deadline: UInt64, input: Int32?) -> Bool {
        let links = areDevicesOn ? links : []
        var entries = [PollEntry(signals.descriptor.number, .readable), PollEntry(input ?? -1, .readable)]
        entries += links.map(\.pollEntry)
        let before = monotonicMilliseconds()
        var next = min(deadline, nextLook)
        if areDevicesOn {
            for sensor in sensors { next = min(next, sensor.nextDeadline) }
            next = min(next, backOffice.nextDeadline)
            for link in links { next = min(next, link.nextDeadline ?? .max) }
        }
        _ = try? Poll.wait(&entries, milliseconds: next > before ? next - before : 0)
        let now = monotonicMilliseconds()
        takeSignals()
        if areDevicesOn {
            var happened = entries[2...].map(\.happened)[...]
            for sensor in sensors { sensor.turn(happened.removeFirst(), now: now) }
            for observer in observers { observer.turn(happened.removeFirst(), now: now) }
            _ = operatorLink.turn(happened.removeFirst(), now: now)
            backOffice.turn(happened.removeFirst(), now: now)
            for guest in guests { _ = guest.turn(happened.removeFirst(), now: now) }
        }
        if now >= nextLook {
            nextLook = now + Self.lookMilliseconds
            look()
        }
        return !entries[1].happened.isEmpty
    }

    private func takeSignals() {
        while let signal = (try? signals.next()) ?? nil {
            if signal.number == SIGWINCH { isResized = true } else { isInterrupted = true }
        }
    }

    /// Logs, the shared region, and programs that ended by themselves.
    private func look() {
        for line in errorTail.newLines() {
            routes.read(line)
            // Sessions come and go all the time; what is said about them is in the access log and in the table. Who is
            // refused by TLS is in the error log alone, with the reason.
            if !line.contains(" [info] ") || line.contains(" while SSL handshaking") { note(DemoWorld.shortened(line)) }
        }
        for line in accessTail.newLines() { note(line) }
        reports = view.reports(of: weir)
        for broker in brokers {
            if let ended = broker.noticeEnd() { note("demo: broker \(broker.number) \(ended.text)") }
        }
        if let ended = weir.noticeEnd() { note("demo: weir \(ended.text)") }
    }

    /// Without the date, which is today, and the process, which the demo's user does not know.
    static func shortened(_ line: String) -> String {
        let words = line.split(separator: " ", maxSplits: 4, omittingEmptySubsequences: false)
        guard words.count == 5, words[2].hasPrefix("["), words[3].hasSuffix(":") else { return line }
        return "\(words[1]) \(words[2]) \(words[4])"
    }

    /// True once after each change of the terminal's size.
    func takeResized() -> Bool {
        defer { isResized = false }
        return isResized
    }
}
