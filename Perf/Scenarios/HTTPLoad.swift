// SPDX-License-Identifier: Apache-2.0
//
// Clients of the admin process, as companions of the fleet: one that asks again and again over one connection, or many
// that connect and say nothing.

import LinuxIO
import Vocabulary

final class HTTPLoad {
    struct Outcome {
        var count = 0
        /// Of an answer, from the request's first byte to the answer's last.
        var medianMilliseconds = Double.nan
        var largestMilliseconds = Double.nan
        /// Of the last answer's body.
        var bytes = 0
    }

    private let companion: Companion

    /// Asks for `target`, with `pauseMilliseconds` between an answer and the next request.
    init(asking target: String, pauseMilliseconds: UInt64) throws {
        companion = try Companion { line in
            let client = try HTTPConnection()
            try line.ready()
            var nanoseconds: [UInt64] = []
            var bytes = 0
            while !line.isOver() {
                let start = monotonicNanoseconds()
                bytes = try client.ask(target)
                nanoseconds.append(monotonicNanoseconds() - start)
                if pauseMilliseconds > 0 { sleep(milliseconds: pauseMilliseconds) }
            }
            let milliseconds = nanoseconds.map { Double($0) / 1e6 }
            try line.done([
                "\(nanoseconds.count)", "\(Statistics.median(milliseconds))", "\(milliseconds.max() ?? .nan)",
                "\(bytes)",
            ])
        }
    }

    /// Holds `count` connections open.
    init(idle count: Int) throws {
        companion = try Companion { line in
            let connections = try (0..<count).map { _ in try HTTPConnection() }
            try line.ready()
            while !line.isOver() { sleep(milliseconds: 10) }
            try line.done(["\(connections.count)", "0", "0", "0"])
        }
    }

    func begin() throws { try companion.begin() }

    func end() throws -> Outcome {
        let parts = try companion.end()
        companion.waitForEnd()
        guard parts.count == 4 else { throw RunFault(description: "a companion said \(parts)") }
        return Outcome(
            count: Int(parts[0]) ?? 0, medianMilliseconds: Double(parts[1]) ?? .nan,
            largestMilliseconds: Double(parts[2]) ?? .nan, bytes: Int(parts[3]) ?? 0)
    }
}

/// A connection to the admin process that waits for each answer.
private final class HTTPConnection {
    private let socket: Int32
    private var received: [UInt8] = []

    init() throws {
        let address = SocketAddress(IPEndpoint(address: Place.address, port: Place.adminPort))
        socket = try Sockets.makeStream(for: address).release()
        guard try Sockets.connect(socket, to: address) == .connected || wait(.writable),
            try Sockets.takeError(socket) == nil
        else { throw RunFault(description: "the admin process does not answer") }
    }

    deinit { Descriptors.close(socket) }

    /// The length of the answer's body. Anything but 200 is a fault.
    func ask(_ target: String) throws -> Int {
        let request = "GET \(target) HTTP/1.1\r\nHost: \(Place.address.text):\(Place.adminPort)\r\n\r\n"
        guard try Sockets.send(socket, Array(request.utf8)[...]) == request.utf8.count else {
            throw RunFault(description: "a request does not fit")
        }
        received.removeAll(keepingCapacity: true)
        var head: (end: Int, length: Int)?
        while true {
            if head == nil { head = try parseHead() }
            if let head, received.count >= head.end + head.length { return head.length }
            guard try wait(.readable) else { throw RunFault(description: "no answer to \(target)") }
            guard try Sockets.receive(socket, appendingTo: &received, bytesMax: 1 << 20) > 0 else {
                throw RunFault(description: "the admin process closed the connection")
            }
        }
    }

    /// Nil: it is not complete.
    private func parseHead() throws -> (end: Int, length: Int)? {
        let mark = Array("\r\n\r\n".utf8)
        guard let last = (0..<max(0, received.count - 3)).first(where: { Array(received[$0..<$0 + 4]) == mark }) else {
            return nil
        }
        let lines = String(decoding: received[..<last], as: UTF8.self).split(separator: "\r\n")
        let length = lines.first { $0.lowercased().hasPrefix("content-length:") }?.split(separator: ":").last
        guard lines.first?.split(separator: " ").dropFirst().first == "200", let length,
            let count = Int(length.trimmed)
        else { throw RunFault(description: "the admin process answered \(lines.first ?? "nothing")") }
        return (last + 4, count)
    }

    private func wait(_ events: PollEntry.Events) throws -> Bool {
        var entries = [PollEntry(socket, events)]
        return try Poll.wait(&entries, milliseconds: 10_000) == 1
    }
}
