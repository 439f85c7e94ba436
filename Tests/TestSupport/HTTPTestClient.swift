// SPDX-License-Identifier: Apache-2.0
//
// HTTP as tests need it: one request on a connection of its own, and its whole answer. Blocks its thread.

package struct HTTPTestAnswer: Sendable {
    package var status: Int
    /// Names in lower case, in the order in which they came.
    package var fields: [(name: String, value: String)]
    package var body: [UInt8]

    package var text: String { String(decoding: body, as: UTF8.self) }

    /// The first field of this name, which is in lower case.
    package func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }

    fileprivate var contentLength: Int? { field("content-length").flatMap { Int($0) } }
}

package enum HTTPTestClient {
    package static func get(
        _ target: String, at endpoint: Endpoint, fields: [String: String] = [:],
        within duration: Duration = .seconds(20)
    ) throws -> HTTPTestAnswer {
        try request("GET", target, at: endpoint, fields: fields, within: duration)
    }

    package static func request(
        _ method: String, _ target: String, at endpoint: Endpoint, fields: [String: String] = [:], body: String = "",
        within duration: Duration = .seconds(20)
    ) throws -> HTTPTestAnswer {
        let connection = try TCPConnection(to: endpoint)
        defer { connection.close() }
        var head = "\(method) \(target) HTTP/1.1\r\nHost: \(endpoint.text)\r\nConnection: close\r\n"
        for (name, value) in fields { head += "\(name): \(value)\r\n" }
        if !body.isEmpty { head += "Content-Length: \(body.utf8.count)\r\n" }
        try connection.send(Array((head + "\r\n" + body).utf8), within: duration)
        return try parse(try connection.receiveToEnd(within: duration, orUntil: isWhole))
    }

    /// An answer that says its length ends there. The servers in Chromium and ChromeDriver leave it to the client to end
    /// the connection, also where it asked for `close`.
    private static func isWhole(_ bytes: [UInt8]) -> Bool {
        guard let (answer, end) = try? parseHead(bytes), let count = answer.contentLength else { return false }
        return bytes.count - end >= count
    }

    /// An answer that its length or the end of its connection has ended.
    private static func parse(_ bytes: [UInt8]) throws -> HTTPTestAnswer {
        var (answer, end) = try parseHead(bytes)
        answer.body = Array(bytes[end...])
        if answer.field("transfer-encoding")?.lowercased() == "chunked" {
            answer.body = try joined(chunks: answer.body)
        } else if let count = answer.contentLength, answer.body.count < count {
            throw TestFault("the body ends after \(answer.body.count) of \(count) bytes")
        }
        return answer
    }

    /// Without its body, and where that begins.
    private static func parseHead(_ bytes: [UInt8]) throws -> (answer: HTTPTestAnswer, end: Int) {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else {
            throw TestFault("no HTTP answer: \(String(decoding: bytes.prefix(200), as: UTF8.self))")
        }
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
            throw TestFault("no status line: \(lines.first ?? "")")
        }
        let fields = lines.dropFirst().map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            let value = parts.count == 2 ? parts[1].drop { $0 == " " } : ""
            return (name: parts[0].lowercased(), value: String(value))
        }
        return (HTTPTestAnswer(status: status, fields: fields, body: []), end.upperBound)
    }

    private static func joined(chunks bytes: [UInt8]) throws -> [UInt8] {
        var body: [UInt8] = []
        var rest = bytes[...]
        while let end = rest.firstRange(of: Array("\r\n".utf8)) {
            let size = String(decoding: rest[..<end.lowerBound], as: UTF8.self).split(separator: ";").first
            guard let size, let count = Int(size, radix: 16), rest[end.upperBound...].count >= count else { break }
            if count == 0 { return body }
            body += rest[end.upperBound...].prefix(count)
            rest = rest[end.upperBound...].dropFirst(count + 2)
        }
        throw TestFault("the chunks have no end")
    }
}
