// SPDX-License-Identifier: Apache-2.0
//
// What the prober's loop needs around it: brokers that are sockets of this process, a region, and the master's end of
// the link.

import ControlLink
import ControlPlane
import Glibc
import LinuxIO
import ProxyConfig
import SharedState
import TLSEngine
import Testing
import Vocabulary

/// Listens at all addresses of this host and treats every client in one way.
final class Broker {
    enum Behaviour: Equatable {
        case answers([UInt8])
        case silent
    }
    enum Ending: Equatable {
        case orderly(lastBytes: [UInt8])
        case reset
    }
    private struct Client {
        var number: Int32
        var tls: TLSConnection? = nil
        var isSecured = false
        var received: [UInt8] = []
        var hasAnswer = false
    }

    var behaviour: Behaviour
    let port: UInt16
    private(set) var endings: [Ending] = []
    private let listener: Descriptor
    /// Nil: plaintext.
    private let context: TLSServerContext?
    private var clients: [Client] = []

    init(_ behaviour: Behaviour, tls context: TLSServerContext? = nil) throws {
        self.behaviour = behaviour
        self.context = context
        listener = try Sockets.listen(at: Broker.anyPort, ListenOptions())
        port = try #require(Sockets.localAddress(of: listener.number)).port
    }

    deinit {
        for client in clients {
            client.tls?.free()
            Descriptors.close(client.number)
        }
    }

    private static let anyPort = Endpoint.ip(IPEndpoint(address: IPAddress(ipv4: 0), port: 0))

    /// A port at which nobody listened a moment ago.
    static func closedPort() throws -> UInt16 { try Broker(.silent).port }

    /// Ends of connections so far do not count; those that are open will not, either.
    func forget() {
        for client in clients {
            client.tls?.free()
            Descriptors.close(client.number)
        }
        clients = []
        endings = []
    }

    func step() throws {
        var address = SocketAddress()
        while let client = try Sockets.accept(listener.number, from: &address) {
            let tls = context.map { TLSConnection.accept($0, isChoosingByName: false)! }
            clients.append(Client(number: client.release(), tls: tls))
        }
        for index in clients.indices.reversed() {
            do throws(Errno) {
                var bytes: [UInt8] = []
                while try Sockets.receive(clients[index].number, appendingTo: &bytes, bytesMax: 1024) > 0 {
                    try take(bytes, from: index)
                    bytes = []
                }
                end(index, .orderly(lastBytes: Array(clients[index].received.suffix(2))))
                continue
            } catch Errno.wouldBlock {
            } catch {
                end(index, .reset)
                continue
            }
            guard case .answers(let bytes) = behaviour, !clients[index].hasAnswer, clients[index].received.count >= 14
            else { continue }
            clients[index].hasAnswer = true
            try say(bytes, to: index)
        }
    }

    private func take(_ bytes: [UInt8], from index: Int) throws(Errno) {
        guard let tls = clients[index].tls else {
            clients[index].received += bytes
            return
        }
        var input = bytes
        if !clients[index].isSecured {
            clients[index].isSecured = unsafe input.withUnsafeBytes { unsafe tls.handshake($0) } == .done
            input = []
        }
        if clients[index].isSecured {
            clients[index].received += unsafe [UInt8](unsafeUninitializedCapacity: 20_000) { buffer, count in
                let opened = unsafe input.withUnsafeBytes {
                    unsafe tls.open($0, into: UnsafeMutableRawBufferPointer(buffer))
                }
                if case .bytes(let number) = opened { count = number }
                if case .closed(let number) = opened { count = number }
            }
        }
        try say([], to: index)
    }

    private func say(_ bytes: [UInt8], to index: Int) throws(Errno) {
        guard let tls = clients[index].tls else {
            _ = try Sockets.send(clients[index].number, bytes[...])
            return
        }
        let cipher = unsafe [UInt8](unsafeUninitializedCapacity: 20_000) { buffer, count in
            if bytes.isEmpty {
                count = unsafe tls.takeOutput(UnsafeMutableRawBufferPointer(buffer))
            } else {
                let sealed = unsafe bytes.withUnsafeBytes {
                    unsafe tls.seal($0, into: UnsafeMutableRawBufferPointer(buffer))
                }
                count = sealed ?? 0
            }
        }
        if !cipher.isEmpty { _ = try Sockets.send(clients[index].number, cipher[...]) }
    }

    private func end(_ index: Int, _ ending: Ending) {
        let client = clients.remove(at: index)
        client.tls?.free()
        Descriptors.close(client.number)
        endings.append(ending)
    }
}

/// A configuration's text as the only file there is, but for those that it names.
private struct TextSource: ConfigurationSource {
    let text: String
    let files: [String: [UInt8]]
    let names: [String: [IPAddress]]
    func file(_ path: String) -> Result<[UInt8], SourceFault> { .success(files[path] ?? Array(text.utf8)) }
    func expand(_ mask: String) -> Result<[String], SourceFault> { .success([]) }
    func addresses(of host: String) -> Result<[IPAddress], SourceFault> {
        names[host].map { .success($0) } ?? .failure(SourceFault(code: 2, reason: "No such name here"))
    }
}

/// The master's part, played by the test. Everything is on one thread: whoever waits turns the prober and the brokers.
final class ProberStage {
    private let region: SharedRegion
    private let brokers: [Broker]
    private let connectionsMax: Int
    private var master: LinkEndpoint?
    private var loop: ProberLoop
    /// What a configuration may name.
    var files: [String: [UInt8]] = [:]
    var names: [String: [IPAddress]] = [:]
    let staples: StapleRegion
    private let stapleTimes: StapleTimes
    /// Of the last `prepare`.
    private(set) var stapleWarnings: [String] = []
    private var generation: UInt32 = 0
    /// The log is a pipe.
    private var logReader: Descriptor
    private var logWriter: Descriptor

    init(brokers: [Broker], connectionsMax: Int = 64, stapleTimes: StapleTimes = StapleTimes()) throws {
        self.connectionsMax = connectionsMax
        self.stapleTimes = stapleTimes
        staples = try StapleRegion.create()
        self.brokers = brokers
        region = try SharedRegion.create(masterPID: Processes.currentID, wallMilliseconds: wallMilliseconds())
        let pipe = try Pipes.make()
        logReader = Descriptor(pipe.read)
        logWriter = Descriptor(pipe.write)
        let pair = try LinkEndpoint.makePair()
        master = LinkEndpoint(socket: Descriptor(pair.master))
        loop = ProberLoop(
            link: LinkEndpoint(socket: Descriptor(pair.child)), signals: nil, region: region, staples: staples,
            connectionsMax: connectionsMax, stapleTimes: stapleTimes)
    }

    deinit { region.detach() }

    // MARK: What the master does

    func prepare(_ text: String) throws {
        generation += 1
        let options = ConfigurationOptions(file: "/weir.conf", prefix: "/")
        var source = RecordingSource(TextSource(text: text, files: files, names: names))
        options.record(into: &source.bundle)
        let outcome = ConfigurationBuilder.buildAll(&source, options: options)
        if let configuration = outcome.configuration {
            stapleWarnings = StaplePlan(configuration, from: &source).warnings
            try region.assignSlots(
                configuration.upstreams.map { group in
                    GroupRequest(
                        name: group.name,
                        peers: group.peerIdentities().map { GroupRequest.Peer(identity: $0, weight: 1) })
                })
        }
        let share = outcome.configuration.flatMap { source.bundle.withSecrets($0.proberSecrets) } ?? source.bundle
        let bundle = try Memory.makeSealed(name: "bundle", share.encoded())
        try send(.prepare, descriptor: bundle.number)
        for index in 0..<(outcome.configuration?.logDestinations.count ?? 0) {
            try send(.log, index: UInt32(index), descriptor: logWriter.number)
        }
        try send(.build)
        if outcome.configuration != nil { #expect(try answer().kind == .ready) }
    }

    func commitPrepared() throws {
        try send(.commit)
        #expect(try answer().kind == .committed)
        region.commitSlots(generation: generation)
    }

    func commit(_ text: String) throws {
        try prepare(text)
        try commitPrepared()
    }

    func refusal(of text: String) throws -> String {
        try prepare(text)
        let message = try answer()
        #expect(message.kind == .refused)
        return message.text
    }

    func abort() throws { try send(.abort) }

    /// The prober is gone without a word, and another one starts.
    func respawn() throws {
        let pair = try LinkEndpoint.makePair()
        master = LinkEndpoint(socket: Descriptor(pair.master))
        loop = ProberLoop(
            link: LinkEndpoint(socket: Descriptor(pair.child)), signals: nil, region: region, staples: staples,
            connectionsMax: connectionsMax, stapleTimes: stapleTimes)
    }

    func reopen() throws {
        let pipe = try Pipes.make()
        logReader = Descriptor(pipe.read)
        logWriter = Descriptor(pipe.write)
        try send(.reopen, descriptor: logWriter.number)
    }

    /// Ends the prober by the link's end (0), `stop` (1) or `quit` (2), and gives its last log lines.
    func end(_ way: Int) throws -> [String] {
        switch way {
        case 0: master = nil
        case 1: try send(.stop)
        default: try send(.quit)
        }
        try run(until: "the end") { loop.isEnding }
        return try logLines()
    }

    // MARK: What can be seen

    func report(_ port: UInt16) -> PeerReport {
        let group = region.groupSlot(named: "brokers")!
        return region.peerReport(region.peerSlot(group: group, identity: "127.0.0.1:\(port)")!)
    }

    /// Kinds and texts of what the prober has noted in the region.
    func events() -> [String] { region.events().filter(\.isByProber).map { "\($0.kind) \($0.text)" } }

    func reports() -> [PeerReport] { region.groupReports().flatMap(\.peers) }

    /// What has come since the last call.
    func logLines() throws -> [String] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            // -1: nothing there now.
            let count = unsafe read(logReader.number, &chunk, chunk.count)
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        return bytes.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    }

    func run(until what: Comment, seconds: UInt64 = 10, _ condition: () throws -> Bool) throws {
        let deadline = monotonicMilliseconds() + seconds * 1000
        while try !condition() {
            try #require(monotonicMilliseconds() < deadline, what)
            try loop.turn(waitMillisecondsMax: 2)
            for broker in brokers { try broker.step() }
        }
    }

    private func send(_ kind: LinkMessage.Kind, index: UInt32 = 0, descriptor: Int32? = nil) throws {
        let message = LinkMessage(kind, generation: generation, index: index)
        #expect(try master?.send(message, descriptor: descriptor) == true)
    }

    private func answer() throws -> LinkMessage {
        var message: LinkMessage? = nil
        try run(until: "an answer") {
            if case .message(let arrival)? = try master?.receive() { message = arrival.message }
            return message != nil
        }
        return try #require(message)
    }
}
