// SPDX-License-Identifier: Apache-2.0
//
// The thousand choices recorded from nginx; Fixtures/README.md has their recipe.

import Balancing
import Foundation
import Testing

struct RecordedChoice {
    var mode: String
    var weights: [Int]
    var clientID: String
    var server: Int

    static func all() throws -> [RecordedChoice] {
        let url = try #require(Bundle.module.url(forResource: "Fixtures/nginx-hash-vectors", withExtension: "tsv"))
        return try String(contentsOf: url, encoding: .utf8).split(separator: "\n").dropFirst().map { line in
            let fields = line.split(separator: "\t").map(String.init)
            try #require(fields.count == 4)
            return RecordedChoice(
                mode: fields[0], weights: fields[1].split(separator: "/").compactMap { Int($0) }, clientID: fields[2],
                server: try #require(Int(fields[3].suffix(5))) - 18831)
        }
    }
}

@Suite struct RecordedVectorTests {
    @Test("a fleet that comes from nginx stays where it is", arguments: ["hash", "hash consistent"])
    func recorded(mode: String) throws {
        let choices = try RecordedChoice.all().filter { $0.mode == mode }
        #expect(choices.count == 500)
        for weights in Set(choices.map(\.weights)) {
            let method: BalancingMethod = mode == "hash" ? .hash : .consistentHash(.local(weights: weights))
            let group = Group(weights: weights.map(Int32.init), method: method)
            for choice in choices where choice.weights == weights {
                #expect(group.first(choice.clientID) == choice.server, "\(choice)")
            }
        }
    }
}
