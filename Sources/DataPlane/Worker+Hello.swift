// SPDX-License-Identifier: Apache-2.0
//
// `ssl_preread`: what a ClientHello says, read in passing; its bytes go on to the broker as they came. The name in it
// leads to a server of the same address, as a handshake's does.

import EventLoop
import ProxyConfig
import TLSWire
import Vocabulary

/// What is kept of a ClientHello in a session's memory: version and name's length (two bytes each, little-endian), the
/// name, the application protocols as the variable gives them.
private enum HelloFacts {
    static let headBytes = 4

    static func record(_ hello: ClientHello) -> [UInt8] {
        let name = hello.serverName ?? []
        var bytes: [UInt8] = []
        for number in [Int(hello.version), name.count] {
            bytes.append(UInt8(truncatingIfNeeded: number))
            bytes.append(UInt8(truncatingIfNeeded: number >> 8))
        }
        return bytes + name + (hello.protocols ?? [])
    }
}

extension Worker where K: ~Copyable {
    /// False: there is not enough yet, or the session has ended.
    mutating func readHello(_ slot: Int) -> Bool {
        let limit = settingsTable[sessions[slot].settings].server.prereadBufferBytes
        let bytes = unsafe sessions[slot].preread.bytes
        let span = unsafe UnsafeBufferPointer(
            start: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), count: bytes.count
        ).span
        switch ClientHelloScanner.scan(span, limit: limit) {
        case .needsMore:
            prereadMore(slot)
            return false
        case .tooLarge:
            logSession(
                .error, slot,
                "preread buffer full: the ClientHello needs more than preread_buffer_size (\(limit) bytes)")
            close(slot, .prereadBufferFull)
            return false
        case .complete(let hello):
            guard sessions[slot].hello.append(HelloFacts.record(hello)) else {
                close(slot, .outOfResources)
                return false
            }
            chooseServer(slot, named: hello.serverName)
        case .notTLS, .malformed:
            // nginx passes on what it cannot read, with empty variables.
            break
        }
        sessions[slot].isHelloRead = true
        return true
    }

    func appendHello(_ variable: BuiltinVariable, of slot: Int, to output: inout [UInt8]) -> Bool {
        let bytes = unsafe sessions[slot].hello.bytes
        guard bytes.count >= HelloFacts.headBytes else { return false }
        let version = unsafe UInt16(bytes[0]) | UInt16(bytes[1]) << 8
        let nameEnd = unsafe HelloFacts.headBytes + Int(bytes[2]) + Int(bytes[3]) << 8
        switch variable {
        case .tlsPrereadProtocol:
            guard let name = ClientHello(version: version).versionName else { return false }
            output.append(utf8: name)
        case .tlsPrereadServerName:
            unsafe output.append(contentsOf: bytes[HelloFacts.headBytes..<nameEnd])
        default:
            unsafe output.append(contentsOf: bytes[nameEnd...])
        }
        return true
    }
}
