// SPDX-License-Identifier: Apache-2.0
//
// What a TLS client of a test offers and asks for.

import CTestTLS
import Glibc

package struct TLSClientOptions: Sendable {
    package enum Version: Int32, Sendable {
        case v10 = 0x0301
        case v11 = 0x0302
        case v12 = 0x0303
        case v13 = 0x0304
    }

    /// A file: the server is verified with it, against `serverName`. Nil: any server will do.
    package var authority: String?
    /// Files: a chain and its key.
    package var pair: CertificateAuthority.Pair?
    /// Sent as SNI unless it is an address. Nil: none is sent, and none is expected.
    package var serverName: String?
    package var versionMin = Version.v12
    package var versionMax = Version.v13
    /// Of TLS 1.2, and of TLS 1.3, as OpenSSL lists them. Nil: its own choice.
    package var ciphers: String?
    package var suites: String?
    package var groups: String?
    package var signatureAlgorithms: String?
    /// ALPN.
    package var applicationProtocols: [String] = []
    /// A session to resume.
    package var session: TLSTestStream.Session?
    /// The session is said to allow so much early data, whatever the server said of it.
    package var earlyDataMax: UInt32 = 0
    /// So many extensions that nobody knows.
    package var strangeExtensions: UInt32 = 0
    /// Whether `close` says close_notify before FIN.
    package var saysGoodbye = true

    package init(authority: String? = nil, serverName: String? = nil, pair: CertificateAuthority.Pair? = nil) {
        self.authority = authority
        self.serverName = serverName
        self.pair = pair
    }

    /// A copy with something changed.
    package func with(_ change: (inout TLSClientOptions) -> Void) -> TLSClientOptions {
        var copy = self
        change(&copy)
        return copy
    }

    /// This version and no other.
    package func only(_ version: Version) -> TLSClientOptions {
        with {
            $0.versionMin = version
            $0.versionMax = version
        }
    }

    /// A client of OpenSSL, which the caller frees.
    func makeClient() throws -> UnsafeMutableRawPointer {
        let protocols = applicationProtocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        let session = self.session?.bytes ?? []
        let texts = [
            authority, pair?.certificate, pair?.key, serverName, ciphers, suites, groups, signatureAlgorithms,
        ]
        // The copies live as long as the call.
        let copies = unsafe texts.map { unsafe $0.flatMap { unsafe strdup($0) } }
        defer { for unsafe copy in unsafe copies { unsafe free(copy) } }
        let client = unsafe protocols.withUnsafeBufferPointer { protocols in
            unsafe session.withUnsafeBufferPointer { session in
                var settings = unsafe ctt_settings()
                unsafe settings.version_min = versionMin.rawValue
                unsafe settings.version_max = versionMax.rawValue
                unsafe settings.authority = UnsafePointer(copies[0])
                unsafe settings.certificate = UnsafePointer(copies[1])
                unsafe settings.key = UnsafePointer(copies[2])
                unsafe settings.server_name = UnsafePointer(copies[3])
                unsafe settings.ciphers = UnsafePointer(copies[4])
                unsafe settings.suites = UnsafePointer(copies[5])
                unsafe settings.groups = UnsafePointer(copies[6])
                unsafe settings.signature_algorithms = UnsafePointer(copies[7])
                unsafe settings.protocols = protocols.baseAddress
                unsafe settings.protocols_length = protocols.count
                unsafe settings.session = session.baseAddress
                unsafe settings.session_length = session.count
                unsafe settings.early_data_max = earlyDataMax
                unsafe settings.strange_extensions = strangeExtensions
                return unsafe ctt_client_configured(&settings)
            }
        }
        guard let client = unsafe client else {
            throw TestFault("no TLS client of \(self): \(openSSLError(nil))")
        }
        return unsafe client
    }
}

/// What OpenSSL said last on this thread about a client's failure.
func openSSLError(_ client: UnsafeMutableRawPointer?) -> String {
    unsafe written { unsafe ctt_client_error(client, $0, $1) }.split(separator: "\n").joined(separator: "; ")
}

/// The text that `write` puts into its buffer.
func written(_ write: (UnsafeMutablePointer<CChar>?, Int) -> Int) -> String {
    unsafe String(unsafeUninitializedCapacity: 8192) { buffer in
        unsafe buffer.withMemoryRebound(to: CChar.self) { unsafe min(write($0.baseAddress, $0.count), $0.count) }
    }
}
