// SPDX-License-Identifier: Apache-2.0
//
// What the text said, before inheritance and before names are looked up: a directive may stand below the block that
// inherits it, and an upstream below the server that names it. Words keep their places, so that the linker's findings
// show them.

import Vocabulary

/// The directives that a server inherits from `stream`. Nil or empty: this level says nothing.
struct Settings {
    enum BindDraft {
        case off
        case address(Word, isTransparent: Bool)
    }

    var prereadBufferBytes: Int? = nil
    var prereadTimeoutMilliseconds: Int? = nil
    var isTCPNoDelay: Bool? = nil
    var mqttPreread: Server.MQTTPreread? = nil
    var proxyBufferBytes: Int? = nil
    var connectTimeoutMilliseconds: Int? = nil
    var idleTimeoutMilliseconds: Int? = nil
    var nextUpstream: Bool? = nil
    var nextUpstreamTimeoutMilliseconds: Int? = nil
    var nextUpstreamTries: Int? = nil
    var proxyBind: BindDraft? = nil
    var uploadRate: Word? = nil
    var downloadRate: Word? = nil
    var isHalfCloseAllowed: Bool? = nil
    var isUpstreamKeepAlive: Bool? = nil
    var upstreamReceiveBufferBytes: Int? = nil
    var upstreamSendBufferBytes: Int? = nil
    var healthCheckTimeoutMilliseconds: Int? = nil
    var accessRules: [Server.AccessRule] = []
    var errorLogs: [ErrorLog] = []
    var accessLogs: [AccessLogDraft] = []
    var isAccessLogOff = false
    var handshakeTimeoutMilliseconds: Int? = nil
    var readsClientHello: Bool? = nil
    /// `ssl_*` and `proxy_ssl*` of this level: one each, or none. Arrays, so that a block without them is no larger.
    var clientSide: [TLSServerDraft] = []
    var brokerSide: [TLSClientDraft] = []

    var saysAccessLog: Bool { isAccessLogOff || !accessLogs.isEmpty }
}

struct AccessLogDraft {
    var destination: Int
    var format: Word
    var bufferBytes: Int? = nil
    var flushMilliseconds: Int? = nil
    var condition: Word? = nil
    /// Nil: not written.
    var events: AccessLog.Events? = nil
}

struct ListenDraft {
    var address: Word
    var parsed: AddressText
    /// With the endpoint still open; nil where no socket option was written.
    var options: Listener? = nil
    var isDefault = false
    var isTLS = false
}

struct ServerDraft {
    enum ContentDraft {
        case proxy(Word)
        case respond(Word)
        case pass(Word)
    }
    var position: SourcePosition
    var settings = Settings()
    var listens: [ListenDraft] = []
    var names: [Word] = []
    var statusZone: String? = nil
    var content: ContentDraft? = nil
    var assignments: [(variable: Int, value: Word)] = []
    var healthChecks: [HealthCheckDraft] = []
    /// A directive of the block was refused: what seems to be missing may be what was refused.
    var hasFault = false
}

struct HealthCheckDraft {
    var position: SourcePosition
    var check = HealthCheck(upstream: 0)
    var match: Word? = nil
}

struct UpstreamDraft {
    enum MethodDraft {
        case roundRobin
        case hash(key: Word, isConsistent: Bool)
        case leastConnections
        case random(isTwo: Bool)

        /// Others choose among all servers alike: no backups, and no slow start.
        var takesBackups: Bool {
            switch self {
            case .roundRobin, .leastConnections: true
            case .hash, .random: false
            }
        }
    }
    struct ServerLine {
        var address: Word
        var parsed: AddressText
        var weight = 1
        var maxConnections = 0
        var maxFails = 1
        var failTimeoutSeconds = 10
        var backup: Word? = nil
        var isDown = false
        var isDraining = false
        var slowStart: (word: Word, milliseconds: Int)? = nil
    }
    var name: Word
    var method = MethodDraft.roundRobin
    var hasMethod = false
    var zone: String? = nil
    /// `state`; then `servers` are those of the file.
    var state: Said<[UInt8]>? = nil
    /// A `server` stands in the block itself.
    var hasOwnServers = false
    var servers: [ServerLine] = []
    var hasFault = false
}

struct MapDraft {
    struct Entry {
        var key: Word
        var value: Word
    }
    var source: Word
    /// Without `$`.
    var variable: Word
    var isHostnames = false
    var isVolatile = false
    var defaultValue: Word? = nil
    var entries: [Entry] = []
}

struct FormatDraft {
    var name: Word
    var escape: LogFormat.Escape
    var strings: [Word]
}
