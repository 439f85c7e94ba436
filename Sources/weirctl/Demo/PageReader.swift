// SPDX-License-Identifier: Apache-2.0
//
// What Weir's http answers, for `demo --once`: reads until a text has come, which also works for a stream of events,
// whose end never comes.

import LinuxIO
import Vocabulary

struct PageReader {
    let endpoint: IPEndpoint

    /// Everything that has come, up to the chunk in which all of `texts` are there; nil when they do not come in time.
    func get(_ path: String, until texts: [String], milliseconds: UInt64) -> String? {
        let deadline = monotonicMilliseconds() + milliseconds
        let request = "GET \(path) HTTP/1.1\r\nHost: \(endpoint.text)\r\nConnection: close\r\n\r\n"
        do throws(Errno) {
            let address = SocketAddress(endpoint)
            let socket = try Sockets.makeStream(for: address)
            _ = try Sockets.connect(socket.number, to: address)
            guard try wait(socket.number, .writable, deadline) else { return nil }
            _ = try Sockets.send(socket.number, Array(request.utf8)[...])
            var bytes: [UInt8] = []
            while try wait(socket.number, .readable, deadline) {
                guard try Sockets.receive(socket.number, appendingTo: &bytes, bytesMax: 65_536) > 0 else { return nil }
                let text = String(decoding: bytes, as: UTF8.self)
                if texts.allSatisfy({ text.contains($0) }) { return text }
            }
        } catch {
            return nil
        }
        return nil
    }

    private func wait(_ number: Int32, _ what: PollEntry.Events, _ deadline: UInt64) throws(Errno) -> Bool {
        let now = monotonicMilliseconds()
        guard now < deadline else { return false }
        var entries = [PollEntry(number, what)]
        return try Poll.wait(&entries, milliseconds: deadline - now) > 0
    }
}
