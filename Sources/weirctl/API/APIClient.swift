// SPDX-License-Identifier: Apache-2.0
//
// One request, one answer, on a connection of its own: HTTP/1.1 by SwiftNIO, over TCP, TLS or a unix socket. Bounded in
// time and in bytes. What the API says no to comes back as its own words.

import Foundation
import LinuxIO
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

struct APIClient {
    /// A page of a thousand sessions is a few hundred kilobytes.
    private static let answerBytesMax = 64 << 20
    private static let timeout = TimeAmount.seconds(10)

    /// Files in PEM.
    struct Trust {
        /// Certificates that are trusted beside those of the system.
        var authorities: String? = nil
        /// What we show when we are asked.
        var pair: (certificate: String, key: String)? = nil
    }

    let address: APIAddress
    let credentials: Credentials?
    let trust: Trust

    /// The answer's body, for a status from 200 to 299.
    func send(_ method: HTTPMethod, _ path: String, body: Data? = nil) throws(CommandFault) -> Data {
        let answer: NIOHTTPClientResponseFull
        do { answer = try exchange(method, path, body) } catch let fault as CommandFault { throw fault } catch {
            throw CommandFault("no answer from \(address.host): \(Self.words(error))")
        }
        let data = Data(answer.body?.readableBytesView ?? ByteBufferView())
        switch answer.head.status.code {
        case 200...299: return data
        case 401:
            throw CommandFault(
                "the API wants a name and a password: set \(Credentials.variable)=user:password, or use a netrc file")
        default: throw Self.refusal(answer.head.status, data)
        }
    }

    func get<Value: Decodable>(_ type: Value.Type, _ path: String) throws(CommandFault) -> Value {
        try decode(type, try send(.GET, path), of: path)
    }

    func decode<Value: Decodable>(_ type: Value.Type, _ data: Data, of path: String) throws(CommandFault) -> Value {
        do { return try JSONDecoder().decode(type, from: data) } catch {
            throw CommandFault(
                "\(address.host)\(address.path)\(path) answers something that is not the API's: \(error)")
        }
    }

    /// As a part of a path: what RFC 3986 leaves unreserved stays.
    static func escaped(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF")
        return text.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                String(UnicodeScalar(byte))
            default: "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }.joined()
    }

    // MARK: -

    private func exchange(_ method: HTTPMethod, _ path: String, _ body: Data?) throws -> NIOHTTPClientResponseFull {
        let tls = try tlsContext()
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: NIOHTTPClientResponseFull.self)
        let name = address.machine
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(Self.timeout).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                let pipeline = channel.pipeline.syncOperations
                if let tls {
                    // An address is no name that SNI could carry.
                    let isName = (try? SocketAddress(ipAddress: name, port: 0)) == nil
                    try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: isName ? name : nil))
                }
                try pipeline.addHTTPClientHandlers()
                try pipeline.addHandler(NIOHTTPClientResponseAggregator(maxContentLength: Self.answerBytesMax))
                try pipeline.addHandler(AnswerHandler(promise))
            }
        }
        let connected =
            switch address.place {
            case .unix(let path): bootstrap.connect(unixDomainSocketPath: path)
            case .host(let host, let port): bootstrap.connect(host: host, port: port)
            }
        connected.whenFailure { promise.fail($0) }
        var head = HTTPRequestHead(version: .http1_1, method: method, uri: address.path + path)
        head.headers.add(name: "Host", value: address.host)
        head.headers.add(name: "Accept", value: "application/json")
        head.headers.add(name: "Connection", value: "close")
        if let credentials { head.headers.add(name: "Authorization", value: credentials.field) }
        if let body {
            head.headers.add(name: "Content-Type", value: "application/json")
            head.headers.add(name: "Content-Length", value: "\(body.count)")
        }
        let request = head
        connected.whenSuccess { channel in
            channel.write(HTTPClientRequestPart.head(request), promise: nil)
            if let body {
                channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: body))), promise: nil)
            }
            channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        }
        let deadline = loop.scheduleTask(in: Self.timeout) {
            promise.fail(CommandFault("no answer within 10 seconds"))
        }
        defer {
            deadline.cancel()
            connected.whenSuccess { $0.close(promise: nil) }
        }
        return try promise.futureResult.wait()
    }

    private func tlsContext() throws(CommandFault) -> NIOSSLContext? {
        guard address.isSecure else { return nil }
        var configuration = TLSConfiguration.makeClientConfiguration()
        if let file = trust.authorities {
            configuration.additionalTrustRoots = [
                .certificates(try Self.reading(file) { try NIOSSLCertificate.fromPEMFile(file) })
            ]
        }
        var files = ""
        if let pair = trust.pair {
            configuration.certificateChain = try Self.reading(pair.certificate) {
                try NIOSSLCertificate.fromPEMFile(pair.certificate).map { .certificate($0) }
            }
            configuration.privateKey = try Self.reading(pair.key) {
                .privateKey(try NIOSSLPrivateKey(file: pair.key, format: .pem))
            }
            files = " with \(pair.certificate) and \(pair.key)"
        }
        do { return try NIOSSLContext(configuration: configuration) } catch {
            throw CommandFault("no TLS\(files): \(error)")
        }
    }

    private static func reading<Value>(_ file: String, _ body: () throws -> Value) throws(CommandFault) -> Value {
        do { return try body() } catch {
            throw CommandFault("\(file) cannot be used: \(words(error))")
        }
    }

    private static func words(_ error: any Error) -> String {
        let causes = (error as? NIOConnectionError)?.connectionErrors.map(\.error) ?? [error]
        return causes.map { word($0) }.joined(separator: "; ")
    }

    /// BoringSSL's reasons are words in the text of its errors, and what helps stands in none of them.
    private static func word(_ error: any Error) -> String {
        let text = "\(error)"
        return switch error {
        case let error as IOError: Errno(rawValue: error.errnoCode).text
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            "its certificate is another server's"
        case _ where text.contains("CERTIFICATE_VERIFY_FAILED"):
            "its certificate is not trusted; --cacert FILE says whom to trust"
        case _ where text.contains("CERTIFICATE_REQUIRED"):
            "it asks for a certificate; --cert FILE --key FILE shows one"
        default: text
        }
    }

    /// The API's error object, where it is one.
    private static func refusal(_ status: HTTPResponseStatus, _ body: Data) -> CommandFault {
        struct Refusal: Decodable {
            struct Object: Decodable {
                var text: String
                var code: String
            }
            var error: Object
        }
        let refusal = try? JSONDecoder().decode(Refusal.self, from: body)
        let text = refusal.map { "\($0.error.text) (\($0.error.code))" } ?? status.reasonPhrase
        return CommandFault("the API refuses: \(status.code) \(text)", status == .notFound ? .nothingFound : .failed)
    }
}

/// Gives the answer on, or what came instead of it.
private final class AnswerHandler: ChannelInboundHandler {
    typealias InboundIn = NIOHTTPClientResponseFull
    private let promise: EventLoopPromise<NIOHTTPClientResponseFull>

    init(_ promise: EventLoopPromise<NIOHTTPClientResponseFull>) { self.promise = promise }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { promise.succeed(unwrapInboundIn(data)) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(CommandFault("the connection was closed before an answer"))
    }
}
