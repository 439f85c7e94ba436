// SPDX-License-Identifier: Apache-2.0
//
// Host names for the admin process: whoever asks gets an answer, whatever the resolver does.

import LinuxIO
import ProxyConfig
import Synchronization
import TestSupport
import Testing
import Vocabulary

@testable import AdminPlane

@Suite("host names for the API")
struct NameResolverTests {
    private static let address = IPAddress(ipv4: 0x0A00_0001)

    /// A resolver that answers when the test says so.
    private final class SilentServer: Sendable {
        private let state = Mutex((isSilent: true, asked: 0))

        var asked: Int { state.withLock { $0.asked } }

        func speak() { state.withLock { $0.isSilent = false } }

        func answer() -> NameResolver.Answer {
            state.withLock { $0.asked += 1 }
            while state.withLock({ $0.isSilent }) { sleep(milliseconds: 2) }
            return .success([NameResolverTests.address])
        }
    }

    @Test("the system's names, and the system's words for one that it does not know")
    func system() async throws {
        let names = NameResolver()
        let addresses = try await names.addresses(of: "localhost").get()
        #expect(addresses.contains { $0.text == "127.0.0.1" || $0.text == "::1" })
        guard case .failure(let fault) = await names.addresses(of: "no such name") else {
            throw TestFault("a name with blanks has addresses")
        }
        #expect(fault.code != 0 && !fault.reason.isEmpty)
    }

    @Test("a name server that is silent costs who asks some time, and is not asked for those who have left")
    func silent() async throws {
        let server = SilentServer()
        let names = NameResolver(patience: .milliseconds(50)) { _ in server.answer() }
        let answers = await withTaskGroup(of: NameResolver.Answer.self) { group in
            for number in 0..<20 { group.addTask { await names.addresses(of: "b\(number)") } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        let fault = SourceFault(code: 0, reason: "the resolver has not answered in time")
        #expect(answers.count == 20 && answers.allSatisfy { $0 == .failure(fault) })
        let asked = server.asked
        #expect(asked <= 4, "some wait at the name server, the others behind them")
        server.speak()
        let patient = NameResolver { _ in server.answer() }
        #expect(await patient.addresses(of: "b") == .success([Self.address]))
        #expect(server.asked <= asked + 1)
    }
}
