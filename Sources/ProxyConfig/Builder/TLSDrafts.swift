// SPDX-License-Identifier: Apache-2.0
//
// What the text said of TLS, on both sides. Two drafts that say the same, wherever they say it, are equal: a thousand
// servers that inherit everything, or repeat each other, come to one object of settings.

/// A value and the word it was written as; the place is no part of its identity.
struct Said<Value: Hashable & Sendable>: Hashable, Sendable {
    var value: Value
    var word: Word
    static func == (left: Said, right: Said) -> Bool { left.value == right.value }
    func hash(into hasher: inout Hasher) { hasher.combine(value) }
}

extension Said<[UInt8]> {
    init(_ word: Word) { self.init(value: word.bytes, word: word) }
}

/// Which side of a session a directive is about.
enum TLSSide: Sendable {
    /// `ssl_*`: the client's, whose server Weir is.
    case client
    /// `proxy_ssl_*`: the broker's, whose client Weir is.
    case broker

    var prefix: String {
        switch self {
        case .client: "ssl_"
        case .broker: "proxy_ssl_"
        }
    }
}

/// The directives that both sides have. Nil or empty: this level says nothing.
struct TLSCommonDraft: Hashable, Sendable {
    enum Cache: Hashable, Sendable {
        case off
        case kept(TLSCertificateCache)
    }
    var certificates: [Said<[UInt8]>] = []
    var keys: [Said<[UInt8]>] = []
    var cache: Cache? = nil
    var passwordFile: Said<[UInt8]>? = nil
    var protocols: TLSProtocols? = nil
    var ciphers: String? = nil
    var commands: [TLSCommand] = []
    var alpn: [String] = []
    var trustedCertificates: Said<[UInt8]>? = nil
    var revocations: Said<[UInt8]>? = nil
    var verifyDepth: Int? = nil
    /// Index of a log destination.
    var keyLog: Int? = nil

    /// Of lists a level has all of its own or all of the outer one. Certificates and keys are two lists.
    func inheriting(_ outer: TLSCommonDraft) -> TLSCommonDraft {
        var merged = self
        if certificates.isEmpty { merged.certificates = outer.certificates }
        if keys.isEmpty { merged.keys = outer.keys }
        if commands.isEmpty { merged.commands = outer.commands }
        if alpn.isEmpty { merged.alpn = outer.alpn }
        merged.cache = cache ?? outer.cache
        merged.passwordFile = passwordFile ?? outer.passwordFile
        merged.protocols = protocols ?? outer.protocols
        merged.ciphers = ciphers ?? outer.ciphers
        merged.trustedCertificates = trustedCertificates ?? outer.trustedCertificates
        merged.revocations = revocations ?? outer.revocations
        merged.verifyDepth = verifyDepth ?? outer.verifyDepth
        merged.keyLog = keyLog ?? outer.keyLog
        return merged
    }
}

/// `ssl_*`.
struct TLSServerDraft: Hashable, Sendable {
    enum OCSPCache: Hashable, Sendable {
        case off
        case kept(TLSServerSettings.OCSPCache)
    }
    var common = TLSCommonDraft()
    var curves: String? = nil
    var dhParameters: Said<[UInt8]>? = nil
    var prefersServerCiphers: Bool? = nil
    var clientVerification: Said<TLSServerSettings.ClientVerification>? = nil
    var clientCertificates: Said<[UInt8]>? = nil
    var sessionCache: TLSServerSettings.SessionCache? = nil
    var sessionTimeoutSeconds: Int? = nil
    var usesTickets: Bool? = nil
    var ticketKeys: [Said<[UInt8]>] = []
    var rejectsHandshakes: Bool? = nil
    var isStapling: Bool? = nil
    var staplingFile: Said<[UInt8]>? = nil
    var staplingResponder: String? = nil
    var verifiesStapling: Bool? = nil
    var clientOCSP: Said<TLSServerSettings.OCSP>? = nil
    var clientOCSPResponder: Said<[UInt8]>? = nil
    var clientOCSPCache: OCSPCache? = nil

    func inheriting(_ outer: TLSServerDraft) -> TLSServerDraft {
        var merged = self
        merged.common = common.inheriting(outer.common)
        if ticketKeys.isEmpty { merged.ticketKeys = outer.ticketKeys }
        merged.curves = curves ?? outer.curves
        merged.dhParameters = dhParameters ?? outer.dhParameters
        merged.prefersServerCiphers = prefersServerCiphers ?? outer.prefersServerCiphers
        merged.clientVerification = clientVerification ?? outer.clientVerification
        merged.clientCertificates = clientCertificates ?? outer.clientCertificates
        merged.sessionCache = sessionCache ?? outer.sessionCache
        merged.sessionTimeoutSeconds = sessionTimeoutSeconds ?? outer.sessionTimeoutSeconds
        merged.usesTickets = usesTickets ?? outer.usesTickets
        merged.rejectsHandshakes = rejectsHandshakes ?? outer.rejectsHandshakes
        merged.isStapling = isStapling ?? outer.isStapling
        merged.staplingFile = staplingFile ?? outer.staplingFile
        merged.staplingResponder = staplingResponder ?? outer.staplingResponder
        merged.verifiesStapling = verifiesStapling ?? outer.verifiesStapling
        merged.clientOCSP = clientOCSP ?? outer.clientOCSP
        merged.clientOCSPResponder = clientOCSPResponder ?? outer.clientOCSPResponder
        merged.clientOCSPCache = clientOCSPCache ?? outer.clientOCSPCache
        return merged
    }

    /// False: whoever asks for this server gets the default server's certificate.
    var hasCertificates: Bool { !common.certificates.isEmpty }
    /// Nobody else's certificates are asked about.
    var asksResponders: Bool { verifiesClients && (clientOCSP?.value ?? .off) != .off }
    var verifiesClients: Bool { (clientVerification?.value ?? .off) != .off }
    /// Whom to trust is asked of clients' certificates and of what responders say; the server's issuer may be there.
    var usesAuthorities: Bool { verifiesClients || isStapling == true && staplingFile == nil }
}

/// `proxy_ssl*`.
struct TLSClientDraft: Hashable, Sendable {
    var common = TLSCommonDraft()
    /// `proxy_ssl`.
    var isOn: Bool? = nil
    var verifies: Said<Bool>? = nil
    var sendsServerName: Bool? = nil
    var reusesSessions: Bool? = nil
    var name: Said<[UInt8]>? = nil
    /// Set when the server is linked.
    var defaultName = ""

    func inheriting(_ outer: TLSClientDraft) -> TLSClientDraft {
        var merged = self
        merged.common = common.inheriting(outer.common)
        merged.isOn = isOn ?? outer.isOn
        merged.verifies = verifies ?? outer.verifies
        merged.sendsServerName = sendsServerName ?? outer.sendsServerName
        merged.reusesSessions = reusesSessions ?? outer.reusesSessions
        merged.name = name ?? outer.name
        return merged
    }
}

/// A draft as a key. It is hashed once: a table of thousands that grows would hash all of them in one slice.
struct DraftKey<Draft: Hashable & Sendable>: Hashable {
    private final class Box: Sendable {
        let draft: Draft
        init(_ draft: Draft) { self.draft = draft }
    }
    private let box: Box
    private let digest: Int

    init(_ draft: Draft) {
        box = Box(draft)
        digest = draft.hashValue
    }

    static func == (left: DraftKey, right: DraftKey) -> Bool {
        left.digest == right.digest && left.box.draft == right.box.draft
    }
    func hash(into hasher: inout Hasher) { hasher.combine(digest) }
}

extension Settings {
    /// What this level says of one side, made when it says the first thing.
    subscript(side: TLSSide) -> TLSCommonDraft {
        get {
            switch side {
            case .client: client.common
            case .broker: broker.common
            }
        }
        set {
            switch side {
            case .client: client.common = newValue
            case .broker: broker.common = newValue
            }
        }
    }

    var client: TLSServerDraft {
        get { clientSide.first ?? TLSServerDraft() }
        set { clientSide = [newValue] }
    }

    var broker: TLSClientDraft {
        get { brokerSide.first ?? TLSClientDraft() }
        set { brokerSide = [newValue] }
    }
}
