// SPDX-License-Identifier: Apache-2.0
//
// What a test's client needs of the way to its server, plain or under TLS.

package protocol ByteStream: Sendable {
    func send(_ bytes: [UInt8], within duration: Duration) throws
    /// What is there, at least one byte; nil at the end of the stream.
    func receive(within duration: Duration) throws -> [UInt8]?
    func close()
}

extension ByteStream {
    package func send(_ bytes: [UInt8]) throws { try send(bytes, within: .seconds(20)) }
}

extension TCPConnection: ByteStream {
    package func receive(within duration: Duration) throws -> [UInt8]? {
        try receive(upTo: 65_536, within: duration)
    }
}
