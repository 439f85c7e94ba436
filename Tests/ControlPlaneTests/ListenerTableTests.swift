// SPDX-License-Identifier: Apache-2.0
//
// The listening sockets on the loopback: which connection reaches which position, and what a plan that is given up
// leaves behind.

import LinuxIO
import ProxyConfig
import Testing
import Vocabulary

@testable import ControlPlane

@Suite("listener table", .serialized)
struct ListenerTableTests {
    /// Ports of this suite, below the ephemeral range.
    static let port: UInt16 = 23_710

    private func listener(_ port: UInt16) -> Listener {
        Listener(endpoint: .ip(IPEndpoint(address: IPAddress(ipv4: 0x7F00_0001), port: port)), server: 0)
    }

    private func open(_ table: inout ListenerTable, _ listeners: [Listener], positions: Int) throws {
        try table.prepare(listeners, positions: positions)
        try table.enlist()
        _ = table.adopt(listeners)
        table.closeRemoved()
    }

    /// How many of `count` connections wait at each position.
    private func spread(_ table: ListenerTable, _ listener: Listener, count: Int, positions: Int) throws -> [Int] {
        var connections: [Int32] = []
        defer { for connection in connections { Descriptors.close(connection) } }
        let address = try SocketAddress(listener.endpoint)
        for _ in 0..<count {
            let connection = try Sockets.makeStream(for: address)
            _ = try Sockets.connect(connection.number, to: address)
            connections.append(connection.release())
        }
        return try (0..<positions).map { position in
            var waiting = 0
            var peer = SocketAddress()
            while try Sockets.accept(table.socket(listener.endpoint, position: position), from: &peer) != nil {
                waiting += 1
            }
            return waiting
        }
    }

    @Test("connections spread over all positions, and over the first ones only once the group is steered")
    func steering() throws {
        var table = ListenerTable()
        defer { table.closeAll() }
        let first = listener(Self.port)
        try open(&table, [first], positions: 4)
        let all = try spread(table, first, count: 200, positions: 4)
        #expect(all.reduce(0, +) == 200)
        #expect(all.allSatisfy { $0 > 0 })

        try table.steer(count: 2)
        let steered = try spread(table, first, count: 200, positions: 4)
        #expect(steered[2...].allSatisfy { $0 == 0 })
        #expect(steered[..<2].reduce(0, +) == 200)

        try table.closePositions(from: 2)
        let rest = try spread(table, first, count: 200, positions: 2)
        #expect(rest.reduce(0, +) == 200)
        #expect(rest.allSatisfy { $0 > 0 })
    }

    @Test("further positions get connections only when they are enlisted")
    func growth() throws {
        var table = ListenerTable()
        defer { table.closeAll() }
        let first = listener(Self.port + 1)
        try open(&table, [first], positions: 1)
        try table.prepare([first], positions: 3)
        #expect(try spread(table, first, count: 50, positions: 1) == [50])
        try table.enlist()
        _ = table.adopt([first])
        #expect(try spread(table, first, count: 200, positions: 3).allSatisfy { $0 > 0 })
    }

    @Test("an address that somebody else has is a fault in nginx's words, and a later try starts afresh")
    func taken() throws {
        let endpoint = listener(Self.port + 2).endpoint
        let other = try Sockets.listen(at: endpoint, ListenOptions())
        var table = ListenerTable()
        defer { table.closeAll() }
        let wanted = [listener(Self.port + 3), listener(Self.port + 2)]
        #expect(throws: StartFault("bind() to 127.0.0.1:23712 failed (98: Address already in use)", mayPass: true)) {
            try table.prepare(wanted, positions: 2)
        }
        try other.close()
        try open(&table, wanted, positions: 2)
    }

    @Test("a hundred changes of addresses and workers leave no socket behind")
    func noLeak() throws {
        var table = ListenerTable()
        let ports = Self.port + 4...Self.port + 7
        for round in 0..<100 {
            let wanted = [listener(Self.port + 4), listener(Self.port + 5 + UInt16(round % 3))]
            let positions = 1 + round % 4
            try open(&table, wanted, positions: positions)
            try table.closePositions(from: positions)
        }
        table.closeAll()
        // A socket that still listened would refuse its address to a new table.
        try table.prepare(ports.map(listener), positions: 1)
        table.discard()
    }

    @Test("a unix socket that a killed master left behind is taken over; one that is served is not")
    func abandonedUnixSocket() throws {
        let folder = try Files.makeTemporaryDirectory(prefix: "/tmp/weir-listener-")
        defer { try? Files.removeDirectory(folder) }
        let endpoint = Endpoint.unix(folder + "/socket")
        try Sockets.listen(at: endpoint, ListenOptions()).close()
        let wanted = [Listener(endpoint: endpoint, server: 0)]
        var table = ListenerTable()
        try open(&table, wanted, positions: 2)
        #expect(table.socket(endpoint, position: 0) == table.socket(endpoint, position: 1))
        var second = ListenerTable()
        #expect(throws: StartFault.self) { try second.prepare(wanted, positions: 1) }
        table.closeAll()
        #expect(!Files.exists(folder + "/socket"))
    }
}
