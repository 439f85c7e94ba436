// SPDX-License-Identifier: Apache-2.0
//
// Reads the HTTP answer of an OCSP responder as it comes, in any pieces, and keeps its body. Bounded, never traps. Its
// ways are nginx's: any version of HTTP, no content type is as good as the right one; but Content-Length is honoured,
// so that a responder which leaves the connection open is not waited for.
//
//     statusLine ──▶ headers ──▶ body ──(Content-Length, or the end)──▶ complete
//     each ──(what does not belong there, too much, an early end)──▶ failed
//
// Invariant: after `complete` or `failed` no byte changes anything.

package struct ResponderAnswer: Sendable {
    package enum Progress: Sendable, Equatable {
        case needsMore, complete
        case failed(ResponderAnswerFault)
    }

    private enum State { case statusLine, headers, body }

    /// Of all bytes of an answer. An answer has about 2 KiB; nginx takes 16.
    package static let bytesMax = 64 * 1024
    private static let lineBytesMax = 8 * 1024
    private static let protocolName = Array("HTTP/".utf8)

    /// The OCSP response in DER, once it is complete.
    package private(set) var body: [UInt8] = []
    private var progress = Progress.needsMore
    private var state = State.statusLine
    private var line: [UInt8] = []
    private var byteCount = 0
    private var contentLength: Int?
    private var code = 0

    package init() {}

    package mutating func take(_ bytes: Span<UInt8>) -> Progress {
        var index = 0
        while progress == .needsMore, index < bytes.count {
            byteCount += 1
            if byteCount > Self.bytesMax {
                progress = .failed(.tooLarge)
            } else if state == .body {
                body.append(bytes[index])
                if body.count == contentLength { progress = .complete }
            } else {
                takeHeader(bytes[index])
            }
            index += 1
        }
        return progress
    }

    /// The responder has closed the connection.
    package mutating func end() -> Progress {
        if progress == .needsMore {
            progress = state == .body && contentLength == nil ? .complete : .failed(.ended)
        }
        return progress
    }

    private mutating func takeHeader(_ byte: UInt8) {
        // Before its end a line is known for another protocol's by its first bytes.
        if byte != UInt8(ascii: "\n") {
            line.append(byte)
            if state == .statusLine, line.count <= Self.protocolName.count,
                byte != Self.protocolName[line.count - 1]
            {
                progress = .failed(.invalid)
            } else if line.count > Self.lineBytesMax {
                progress = .failed(.tooLarge)
            }
            return
        }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        defer { line.removeAll(keepingCapacity: true) }
        switch state {
        case .statusLine: endStatusLine()
        case .headers where line.isEmpty: endHeaders()
        case .headers: endHeader()
        case .body: preconditionFailure("a line in a body")
        }
    }

    /// `HTTP/1.0 200 OK`; the reason may be missing.
    private mutating func endStatusLine() {
        let words = line.split(separator: UInt8(ascii: " "), maxSplits: 2)
        guard words.count >= 2, isVersion(words[0].dropFirst(Self.protocolName.count)), words[1].count >= 3,
            let number = decimal(words[1].prefix(3)),
            // IIS may send 403.1.
            words[1].count == 3 || words[1][words[1].startIndex + 3] == UInt8(ascii: ".")
        else {
            progress = .failed(.invalid)
            return
        }
        code = number
        state = .headers
    }

    private func isVersion(_ text: ArraySlice<UInt8>) -> Bool {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return parts.count == 2 && parts.allSatisfy { decimal($0) != nil } && decimal(parts[0]) != 0
    }

    private mutating func endHeader() {
        let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
        let name = line[..<colon].map(lowercased)
        guard !name.isEmpty, name.allSatisfy(isNameCharacter) else {
            progress = .failed(.invalid)
            return
        }
        let value = trimmed(line[min(colon + 1, line.endIndex)...])
        if name.elementsEqual("content-type".utf8) {
            if !value.map(lowercased).elementsEqual("application/ocsp-response".utf8) {
                progress = .failed(.contentType(Array(value)))
            }
        } else if name.elementsEqual("content-length".utf8) {
            guard let length = decimal(value), contentLength == nil || contentLength == length else {
                progress = .failed(.invalid)
                return
            }
            contentLength = length
        } else if name.elementsEqual("transfer-encoding".utf8) {
            // Nobody may send it to a client of HTTP/1.0 (RFC 9112 section 6.1).
            progress = .failed(.invalid)
        }
    }

    private mutating func endHeaders() {
        guard code == 200 else {
            progress = .failed(.status(code))
            return
        }
        state = .body
        if let contentLength {
            if contentLength == 0 { progress = .complete }
            if contentLength > Self.bytesMax - byteCount { progress = .failed(.tooLarge) }
        }
    }

    /// A token (RFC 9110 section 5.6.2).
    private func isNameCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    private func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        let front = text.drop(while: isSpace)
        return front[..<(front.lastIndex { !isSpace($0) }.map { $0 + 1 } ?? front.startIndex)]
    }

    /// Of up to nine digits.
    private func decimal(_ digits: ArraySlice<UInt8>) -> Int? {
        guard (1...9).contains(digits.count), digits.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 })
        else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    }
}

package enum ResponderAnswerFault: Error, Sendable, Equatable {
    /// No HTTP.
    case invalid
    case contentType([UInt8])
    case status(Int)
    case tooLarge
    /// The connection ended before the answer did.
    case ended

    /// nginx's words, where it has some.
    package var words: String {
        switch self {
        case .invalid: "OCSP responder sent invalid response"
        case .contentType(let type):
            "OCSP responder sent invalid \"Content-Type\" header: \"\(Self.printable(type))\""
        case .status(let code): "OCSP responder sent status \(code)"
        case .tooLarge: "OCSP responder sent too large response"
        case .ended: "OCSP responder prematurely closed connection"
        }
    }

    /// The words go into a log, whose lines and terminal a responder must not write.
    private static func printable(_ text: [UInt8]) -> String {
        let kept = text.prefix(64).map { 0x20..<0x7F ~= $0 ? $0 : UInt8(ascii: "?") }
        return String(decoding: kept, as: UTF8.self) + (text.count > 64 ? "…" : "")
    }
}
