// SPDX-License-Identifier: Apache-2.0
//
// Which broker a client is at, read from Weir's error log at `info`, where a session says so in two lines with its
// number in common:
//
//     … [info] 12#12: *7 client 127.0.0.1:50123 connected to 127.0.0.1:11883
//     … [info] 12#12: *7 proxy 127.0.0.1:40001 connected to 127.0.0.1:18832
//
// The access log would tell as well, but only when the session has ended.

struct SessionRoutes {
    /// `12#12: *7`: numbers are counted by each worker.
    private typealias Session = Substring

    private var clients: [Session: Substring] = [:]
    private var brokers: [Substring: (session: Session, broker: Substring)] = [:]
    /// Lines about the end of a session may be lost (a worker that is killed writes none); tables begin anew when full.
    static let sessionsMax = 10_000

    /// The broker of the client at this address, both as `1.2.3.4:5` or `[::1]:5`.
    func broker(ofClient client: String) -> String? { brokers[client[...]].map { String($0.broker) } }

    mutating func read(_ line: String) {
        guard let info = line.range(of: " [info] ") else { return }
        let words = line[info.upperBound...].split(separator: " ", maxSplits: 6)
        guard words.count >= 4, words[0].last == ":", words[1].first == "*" else { return }
        let session = line[words[0].startIndex..<words[1].endIndex]
        switch words[2] {
        case "client" where words.count >= 6 && words[4] == "connected":
            if clients.count >= Self.sessionsMax { self = SessionRoutes() }
            clients[session] = words[3]
        case "proxy" where words.count >= 7 && words[4] == "connected":
            guard let client = clients[session] else { return }
            let broker = words[6].prefix { $0 != "," && $0 != " " }
            brokers[client] = (session, broker)
        case "client" where words[3].hasPrefix("disconnected"), "upstream" where words[3].hasPrefix("disconnected"):
            // The address may have a newer session already.
            guard let client = clients.removeValue(forKey: session) else { return }
            if brokers[client]?.session == session { brokers[client] = nil }
        default:
            break
        }
    }
}

extension String {
    /// The first place of `text`, as Foundation has it.
    fileprivate func range(of text: StaticString) -> Range<Index>? {
        let wanted = text.withUTF8Buffer { unsafe Array($0) }
        var start = utf8.startIndex
        while start != utf8.endIndex {
            if utf8[start...].starts(with: wanted) { return start..<utf8.index(start, offsetBy: wanted.count) }
            start = utf8.index(after: start)
        }
        return nil
    }
}
