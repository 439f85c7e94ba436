// SPDX-License-Identifier: Apache-2.0
//
// Groups of brokers for a test, and how they stand in a configuration.

import Foundation
import TestSupport

/// Three real brokers.
struct MosquittoTrio {
    let brokers: [MosquittoBroker]

    init(settings: String = "") async throws {
        var brokers: [MosquittoBroker] = []
        for _ in 0..<3 { brokers.append(try await MosquittoBroker(settings: settings)) }
        self.brokers = brokers
    }

    /// `server` lines, one a broker.
    func servers(weights: [Int] = [1, 1, 1], _ parameters: String = "") -> String {
        zip(brokers, weights).map { broker, weight in
            "server \(broker.endpoint.text) weight=\(weight)\(parameters.isEmpty ? "" : " " + parameters);"
        }.joined(separator: "\n")
    }

    /// Which broker a client of this name is at, or was at last.
    func place(of id: String) -> Int? {
        brokers.firstIndex { $0.connectedIDs.contains(id) }
    }
}

/// Brokers inside of the test.
struct NullGroup {
    let brokers: [NullBroker]

    init(_ count: Int, _ behaviour: @escaping NullBroker.Behaviour = NullBroker.mqtt) throws {
        brokers = try (0..<count).map { _ in try NullBroker(behaviour) }
    }

    var counts: [Int] { brokers.map(\.connectionCount) }

    /// `server` lines, each with the parameters at its place.
    func servers(_ parameters: [String] = []) -> String {
        brokers.enumerated().map { index, broker in
            "server \(broker.endpoint.text)\(index < parameters.count ? " " + parameters[index] : "");"
        }.joined(separator: "\n")
    }
}

/// The check of the talk that Weir was made after: CONNECT with an empty client id, CONNACK with code 0.
let talkMatch = #"""
    match mqtt {
        send \x10\x0c\x00\x04\x4d\x51\x54\x54\x04\x02\x00\x00\x00\x00;
        expect \x20\x02\x00\x00;
    }
    """#

/// The choices that were recorded from nginx; their recipe stands beside the file.
struct RecordedChoice {
    let mode: String
    let weights: [Int]
    let clientID: String
    /// 0, 1 or 2: 127.0.0.1:18831, :18832 or :18833.
    let server: Int

    static let all: [RecordedChoice] = {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("BalancingTests/Fixtures/nginx-hash-vectors.tsv").path
        return lines(of: path).dropFirst().map { line in
            let fields = line.split(separator: "\t").map(String.init)
            return RecordedChoice(
                mode: fields[0], weights: fields[1].split(separator: "/").map { Int($0)! }, clientID: fields[2],
                server: Int(fields[3].suffix(1))! - 1)
        }
    }()
}

/// Bytes that differ at every place, so that a lost or moved block shows.
func pattern(_ count: Int, seed: UInt64) -> [UInt8] {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        var word = state
        for _ in 0..<8 {
            bytes.append(UInt8(truncatingIfNeeded: word))
            word >>= 8
        }
    }
    bytes.removeLast(bytes.count - count)
    return bytes
}
