// SPDX-License-Identifier: Apache-2.0
//
// TLS for brokers inside of a test: what a server shows and asks for, and the behaviour of a NullBroker under it. Its
// connections share one context of OpenSSL, so that a session of one can be resumed on the next.

import CTestTLS
import Glibc
import Synchronization

@safe package final class TLSTestServer: Sendable {
    /// OpenSSL gives it to as many threads as there are.
    private nonisolated(unsafe) let context: UnsafeMutableRawPointer
    private let accepted = Mutex<[TLSTestStream]>([])

    /// `clientAuthority`: a file; clients must show a certificate of it.
    package init(
        _ pair: CertificateAuthority.Pair, clientAuthority: String? = nil, applicationProtocols: [String] = [],
        versionMax: TLSClientOptions.Version = .v13
    ) throws {
        let protocols = applicationProtocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        // The copies live as long as the call.
        let texts = [pair.certificate, pair.key, clientAuthority]
        let copies = unsafe texts.map { unsafe $0.flatMap { unsafe strdup($0) } }
        defer { for unsafe copy in unsafe copies { unsafe free(copy) } }
        let made = unsafe protocols.withUnsafeBufferPointer { protocols in
            var settings = unsafe ctt_server_settings()
            unsafe settings.certificate = UnsafePointer(copies[0])
            unsafe settings.key = UnsafePointer(copies[1])
            unsafe settings.authority = UnsafePointer(copies[2])
            unsafe settings.version_max = versionMax.rawValue
            unsafe settings.protocols = protocols.baseAddress
            unsafe settings.protocols_length = protocols.count
            return unsafe ctt_server_context(&settings)
        }
        guard let made = unsafe made else { throw TestFault("no TLS server of \(pair): \(openSSLError(nil))") }
        unsafe context = unsafe made
    }

    deinit { unsafe ctt_server_context_free(context) }

    /// Those whose handshake was done, in that order.
    package var streams: [TLSTestStream] { accepted.withLock { $0 } }

    /// What a NullBroker does under this server's TLS: the handshake, then `body`, whose end says close_notify.
    package func behaviour(
        _ body: @escaping @Sendable (TLSTestStream) throws -> Void = TLSTestServer.echo
    ) -> NullBroker.Behaviour {
        { [self] session in
            guard let server = unsafe ctt_server_new(context) else { throw TestFault("no TLS for a connection") }
            nonisolated(unsafe) let own = unsafe server
            let stream = unsafe TLSTestStream(over: session.connection, server: own)
            try stream.handshake()
            accepted.withLock { $0.append(stream) }
            try body(stream)
            try stream.endSending()
        }
    }

    /// Sends back what comes, until the other side's end.
    package static let echo: @Sendable (TLSTestStream) throws -> Void = { stream in
        while let bytes = try stream.receive(within: .seconds(120)) { try stream.send(bytes) }
    }
}
