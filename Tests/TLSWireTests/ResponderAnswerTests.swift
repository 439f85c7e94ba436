// SPDX-License-Identifier: Apache-2.0
//
// ResponderAnswer in one piece and in any pieces, its bounds, and noise.

import TLSWire
import Testing
import Vocabulary

/// In pieces of `size` bytes, then the end where `ends`.
private func read(_ bytes: [UInt8], of size: Int = .max, ends: Bool = true) -> (ResponderAnswer.Progress, [UInt8]) {
    var answer = ResponderAnswer()
    var progress = ResponderAnswer.Progress.needsMore
    var start = 0
    while start < bytes.count {
        let end = size < bytes.count - start ? start + size : bytes.count
        progress = answer.take(Array(bytes[start..<end]).span)
        start = end
    }
    if ends { progress = answer.end() }
    return (progress, answer.body)
}

@Suite struct ResponderAnswerTests {
    static let type = "Content-Type: application/ocsp-response\r\n"

    static let wholes: [(String, String)] = [
        ("HTTP/1.0 200 OK\r\n\(type)\r\nbody", "body"),
        ("HTTP/1.1 200\r\n\r\nbody", "body"),
        ("HTTP/1.0 200 OK\ncontent-TYPE:application/OCSP-Response  \n\nbody", "body"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\(type)\r\nbodyand more", "body"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 4\r\nContent-Length:4\r\nDate:\r\nX_y: 1\r\n\r\nbody", "body"),
        ("HTTP/1.0 200 OK\r\n\r\n", ""),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        ("HTTP/1.0 200 OK\r\n\r\n\r\n\n", "\r\n\n"),
    ]

    @Test("an answer is whole in any pieces", arguments: wholes)
    func whole(text: String, body: String) {
        for size in [1, 2, 3, 7, .max] {
            let (progress, bytes) = read(Array(text.utf8), of: size)
            #expect(progress == .complete, "pieces of \(size)")
            #expect(bytes == Array(body.utf8), "pieces of \(size)")
        }
    }

    @Test("with a length an answer is whole at its last byte, without one at the end of the connection")
    func completion() {
        let counted = Array("HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody".utf8)
        for count in 0..<counted.count {
            #expect(read(Array(counted[..<count]), ends: false).0 == .needsMore, "\(count) bytes")
            #expect(read(Array(counted[..<count])).0 == .failed(.ended), "\(count) bytes")
        }
        #expect(read(counted, ends: false).0 == .complete)
        #expect(read(Array("HTTP/1.0 200 OK\r\n\r\nbody".utf8), ends: false).0 == .needsMore)
    }

    static let strangers: [(String, ResponderAnswerFault)] = [
        ("h", .invalid), ("S", .invalid), ("HTTX", .invalid), ("HTTP/\n", .invalid), ("HTTP/x.1 200\n", .invalid),
        ("HTTP/0.9 200\n", .invalid), ("HTTP/1 200\n", .invalid), ("HTTP/1.1\n", .invalid), ("HTTP/1.1 20\n", .invalid),
        ("HTTP/1.1 2000\n", .invalid), ("HTTP/1.1 2x0\n", .invalid), ("HTTP/1.0 200 OK\n: x\n", .invalid),
        ("HTTP/1.0 200 OK\nA b: x\n", .invalid), ("HTTP/1.0 200 OK\n folded\n", .invalid),
        ("HTTP/1.0 200 OK\nContent-Length: -1\n", .invalid), ("HTTP/1.0 200 OK\nContent-Length: 1 1\n", .invalid),
        ("HTTP/1.0 200 OK\nContent-Length: 9999999999\n", .invalid),
        ("HTTP/1.0 200 OK\nContent-Length: 1\nContent-Length: 2\n", .invalid),
        ("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n", .invalid),
        ("HTTP/1.0 200 OK\nContent-Type: text/html\n", .contentType(Array("text/html".utf8))),
        (
            "HTTP/1.0 200 OK\nContent-Type: application/ocsp-response; a=b\n",
            .contentType(Array("application/ocsp-response; a=b".utf8))
        ),
        ("HTTP/1.0 200 OK\nContent-Type:\n", .contentType([])),
        ("HTTP/1.0 200 OK\nContent-Length: 65536\n\n", .tooLarge),
        ("HTTP/1.0 200 OK\nContent-Length: 999999999\n\n", .tooLarge),
        ("HTTP/1.0 404 Not Found\n\n", .status(404)), ("HTTP/1.1 403.1 No\n\n", .status(403)),
    ]

    @Test("what is no answer is known by its last byte, and stays so", arguments: strangers)
    func stranger(text: String, fault: ResponderAnswerFault) {
        let bytes = Array(text.utf8)
        for size in [1, 3, .max] {
            #expect(read(bytes, of: size, ends: false).0 == .failed(fault))
            #expect(read(bytes + Array("\r\n\r\nHTTP/1.0 200 OK".utf8), of: size).0 == .failed(fault))
        }
        #expect(read(Array(bytes.dropLast()), ends: false).0 == .needsMore)
    }

    @Test("lines, headers and body are bounded")
    func bounds() {
        let start = Array("HTTP/1.0 200 OK\r\n".utf8)
        let line = Array("a: ".utf8) + [UInt8](repeating: 0x61, count: 8 * 1024)
        #expect(read(start + line, ends: false).0 == .failed(.tooLarge))
        let many = Array([[UInt8]](repeating: Array("a: b\r\n".utf8), count: 11_000).joined())
        #expect(read(start + many, ends: false).0 == .failed(.tooLarge))
        let room = ResponderAnswer.bytesMax - start.count - 2
        let body = [UInt8](repeating: 0, count: room)
        #expect(read(start + [13, 10] + body).0 == .complete)
        #expect(read(start + [13, 10] + body + [0], ends: false).0 == .failed(.tooLarge))
    }

    /// Goal: no bytes trap the reader, pieces do not matter, and an answer once given stays. Method: good answers with a
    /// few bytes changed, cut or doubled, once in one piece and once in random pieces.
    @Test("no bytes trap, and their pieces do not matter", arguments: [UInt64(1), 2, 3, 4, 5, 6])
    func mutations(seed: UInt64) {
        var chance = SeededRandom(seed: seed)
        for round in 0..<300 {
            var bytes = Array(Self.wholes.randomElement(using: &chance)!.0.utf8)
            for _ in 0..<Int.random(in: 0...4, using: &chance) where !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &chance)
                switch Int.random(in: 0..<4, using: &chance) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &chance)
                case 1: bytes[index] ^= 1 << UInt8.random(in: 0...7, using: &chance)
                case 2: bytes.removeSubrange(index..<min(index + 3, bytes.count))
                default: bytes.insert(contentsOf: bytes[index..<min(index + 9, bytes.count)], at: index)
                }
            }
            let (expected, body) = read(bytes)
            var answer = ResponderAnswer()
            var last = ResponderAnswer.Progress.needsMore
            var rest = bytes[...]
            while !rest.isEmpty {
                let piece = Array(rest.prefix(Int.random(in: 1...20, using: &chance)))
                rest = rest.dropFirst(piece.count)
                let next = answer.take(piece.span)
                if last != .needsMore { #expect(next == last, "seed \(seed), round \(round)") }
                last = next
            }
            #expect(answer.end() == expected, "seed \(seed), round \(round)")
            #expect(answer.body == body, "seed \(seed), round \(round)")
        }
    }
}
