// SPDX-License-Identifier: Apache-2.0
//
// What a configuration says, typed, complete and immutable: defaults filled in, inheritance done, names resolved.
// Master, workers and prober read this and never the text. Indices point into the arrays of the same value.

import Vocabulary

/// One configuration, valid as a whole.
package struct Configuration: Sendable {
    package var main = MainSettings()
    /// Every distinct destination of `error_log` and `access_log`. The master opens them all and hands descriptors on.
    package var logDestinations: [LogDestination] = []
    package var logFormats: [LogFormat] = []
    /// `upstream` blocks, then one implicit group for each `proxy_pass` that names an address.
    package var upstreams: [Upstream] = []
    package var maps: [MapTable] = []
    /// Distinct addresses to listen at, port ranges expanded.
    package var listeners: [Listener] = []
    package var servers: [Server] = []
    package var matches: [HealthMatch] = []
    /// Names of the variables that `set` writes anywhere; `VariableReference.assigned` indexes it.
    package var assignedVariables: [String] = []
    /// Nil without `http {}`: then there is no admin process.
    package var admin: AdminSettings? = nil

    package init() {}
}

/// The directives of the main and events contexts.
package struct MainSettings: Sendable {
    package enum WorkerCount: Sendable, Equatable { case number(Int), automatic }
    /// `worker_cpu_affinity`: masks for worker 0, 1, …; the last one serves all further workers.
    package enum Affinity: Sendable, Equatable {
        case none
        case masks([CPUMask])
        /// One CPU a worker, out of the mask if there is one.
        case automatic(CPUMask?)
    }

    package var user: String? = nil
    package var group: String? = nil
    package var workerCount = WorkerCount.number(1)
    package var affinity = Affinity.none
    /// nice(2) value of workers.
    package var workerPriority: Int? = nil
    package var descriptorLimit: Int? = nil
    package var coreSizeLimitBytes: Int? = nil
    package var shutdownTimeoutMilliseconds: Int? = nil
    package var workingDirectory: String? = nil
    /// Absolute.
    package var pidFile = ""
    package var isDaemon = true
    package var hasMaster = true
    /// `NAME` (kept from the master's environment) or `NAME=value`.
    package var environment: [String] = []
    /// The main context's `error_log`s.
    package var errorLogs: [ErrorLog] = []
    /// `worker_connections`; nil when not set, then it follows the descriptor limit.
    package var workerConnections: Int? = nil
    package var acceptsMany = false

    package init() {}
}

/// Bit `n` of word `n / 64` stands for CPU `n`.
package struct CPUMask: Sendable, Equatable {
    package var words: [UInt64]
    package init(words: [UInt64]) { self.words = words }
    package func contains(_ cpu: Int) -> Bool {
        cpu / 64 < words.count && words[cpu / 64] >> UInt64(cpu % 64) & 1 == 1
    }
}

// MARK: - Logs

/// Where lines go. Equal values are one destination and one descriptor.
package enum LogDestination: Sendable, Hashable {
    /// Absolute path.
    case file(String)
    /// The same, for secrets: made for its owner alone.
    case keyLog(String)
    case standardError
    case syslog(Syslog)

    /// `syslog:server=…` with nginx's parameters and defaults.
    package struct Syslog: Sendable, Hashable {
        package var server: Endpoint
        /// RFC 5424 facility number; `local7` is 23.
        package var facility = 23
        /// RFC 5424 severity for access lines; `info` is 6. Error lines carry their own.
        package var severity = 6
        package var tag = "weir"
        package var hasHostname = true
        package init(server: Endpoint) { self.server = server }
    }
}

package struct ErrorLog: Sendable, Equatable {
    /// Index into `Configuration.logDestinations`.
    package var destination: Int
    package var level: LogLevel
    package init(destination: Int, level: LogLevel) {
        self.destination = destination
        self.level = level
    }
}

package struct LogFormat: Sendable {
    package enum Escape: Sendable {
        case standard, json, none
        /// Of the formats that Weir brings: a variable is a whole value of JSON, `null` where it has none.
        case jsonValues
    }
    package var name: String
    package var escape: Escape
    package var template: Template
    package init(name: String, escape: Escape, template: Template) {
        self.name = name
        self.escape = escape
        self.template = template
    }
}

package struct AccessLog: Sendable {
    /// `events=`: the moments in a session's life at which a line is written.
    package struct Events: Sendable, Equatable {
        package var atConnect = false
        package var intervalMilliseconds: Int? = nil
        package var atClose = false

        /// As nginx: one line, at the end.
        package static let standard: Events = {
            var events = Events()
            events.atClose = true
            return events
        }()

        package init() {}

        package func contains(_ event: SessionEvent) -> Bool {
            switch event {
            case .connect: atConnect
            case .interval: intervalMilliseconds != nil
            case .close: atClose
            }
        }
    }

    /// Index into `Configuration.logDestinations`.
    package var destination: Int
    /// Index into `Configuration.logFormats`.
    package var format: Int
    /// `buffer=`; nil writes at the end of each worker turn.
    package var bufferBytes: Int? = nil
    /// `flush=`.
    package var flushMilliseconds: Int? = nil
    /// `if=`: no line when it is empty or `0`.
    package var condition: Template? = nil
    package var events = Events.standard
    package init(destination: Int, format: Int) {
        self.destination = destination
        self.format = format
    }
}

// MARK: - Upstreams

package struct Upstream: Sendable {
    package enum Method: Sendable {
        case roundRobin
        case hash(key: Template, isConsistent: Bool)
        case leastConnections
        case random(isTwo: Bool)
    }

    /// The group's name, or the text of `proxy_pass` for an implicit group.
    package var name: String
    /// False for the group behind a `proxy_pass ADDRESS`.
    package var isExplicit = true
    package var method = Method.roundRobin
    /// In configured order, backups included; a name with several addresses gives several peers with one `serverText`.
    package var peers: [Peer] = []
    /// `zone NAME SIZE`; state is shared with or without it.
    package var zone: String? = nil
    /// `state FILE`, absolute: the peers are those of its `server` directives, none while it does not exist.
    package var stateFile: String? = nil

    package init(name: String) { self.name = name }
}

/// One address of an upstream group.
package struct Peer: Sendable {
    /// As written in the configuration, port included (`b1.example:1883`, `unix:/run/b.sock`).
    package var serverText: String
    package var endpoint: Endpoint
    /// What this peer's ring points are made of: the address as configured, or each address of a name (design §6).
    package var ringHost: String
    /// Empty for a unix socket.
    package var ringPort: String
    package var weight = 1
    package var maxConnections = 0
    package var maxFails = 1
    package var failTimeoutSeconds = 10
    package var isBackup = false
    package var isDown = false
    /// `drain`: sessions go on, and no new one begins.
    package var isDraining = false
    /// `slow_start=`: how long a peer that came back takes to its full weight; 0: no time.
    package var slowStartMilliseconds = 0

    package init(serverText: String, endpoint: Endpoint, ringHost: String, ringPort: String) {
        self.serverText = serverText
        self.endpoint = endpoint
        self.ringHost = ringHost
        self.ringPort = ringPort
    }
}

// MARK: - Listeners and servers

/// One address to listen at. Identity over reloads is `endpoint`.
package struct Listener: Sendable {
    package struct KeepAlive: Sendable, Equatable {
        package var isOn = true
        package var idleSeconds: Int? = nil
        package var intervalSeconds: Int? = nil
        package var probes: Int? = nil
        package init() {}
    }
    package var endpoint: Endpoint
    /// Index into `Configuration.servers`: the default server of this address.
    package var server: Int
    package var backlog = 511
    package var receiveBufferBytes: Int? = nil
    package var sendBufferBytes: Int? = nil
    package var fastOpenQueue: Int? = nil
    package var isDeferred = false
    package var isIPv6Only = true
    package var isMultipath = false
    package var keepAlive: KeepAlive? = nil
    /// `listen … ssl`: every connection begins with a handshake.
    package var isTLS = false
    /// The servers of this address, the default one among them, by the name that a ClientHello asks for: in the
    /// handshake, or in the preread where the default server has `ssl_preread`. Empty where there is one server only.
    package var names = ServerNames()

    package init(endpoint: Endpoint, server: Int) {
        self.endpoint = endpoint
        self.server = server
    }
}

/// A `server` block after inheritance.
package struct Server: Sendable {
    package enum Content: Sendable {
        /// Index into `Configuration.upstreams`.
        case proxy(upstream: Int)
        /// `proxy_pass` with variables: a group's name, or an address, known when the session is.
        case proxyByName(Template)
        case respond(Template)
        /// `pass`: to the listener of this address in the same worker.
        case pass(Template)
    }
    package enum MQTTPreread: Sendable, Equatable { case off, on, required }
    package struct AccessRule: Sendable, Equatable {
        package enum Source: Sendable, Equatable {
            case all
            case unix
            case network(IPAddress, prefixLength: Int)
        }
        package var isAllowed: Bool
        package var source: Source
        package init(isAllowed: Bool, source: Source) {
            self.isAllowed = isAllowed
            self.source = source
        }
    }
    package struct Assignment: Sendable {
        /// Index into `Configuration.assignedVariables`.
        package var variable: Int
        package var value: Template
        package init(variable: Int, value: Template) {
            self.variable = variable
            self.value = value
        }
    }
    package struct ProxyBind: Sendable {
        package var address: Template
        package var isTransparent: Bool
        package init(address: Template, isTransparent: Bool) {
            self.address = address
            self.isTransparent = isTransparent
        }
    }

    /// `file:line` of the block, for messages.
    package var origin: String
    package var content: Content
    /// First of `server_name`, for `$server_name`.
    package var name = ""
    /// `status_zone`: the zone that counts this server's sessions; several servers may share one.
    package var statusZone: String? = nil
    package var accessRules: [AccessRule] = []
    /// `set`, in order.
    package var assignments: [Assignment] = []
    package var mqttPreread = MQTTPreread.off
    package var prereadBufferBytes = 16 * 1024
    package var prereadTimeoutMilliseconds = 30_000
    package var isTCPNoDelay = true

    package var proxyBufferBytes = 16 * 1024
    package var connectTimeoutMilliseconds = 60_000
    package var idleTimeoutMilliseconds = 600_000
    package var nextUpstream = true
    /// 0: no limit.
    package var nextUpstreamTimeoutMilliseconds = 0
    /// 0: no limit.
    package var nextUpstreamTries = 0
    package var proxyBind: ProxyBind? = nil
    /// Bytes a second; a template, since it may hold variables; nil or an evaluated 0 is no limit.
    package var uploadRate: Template? = nil
    package var downloadRate: Template? = nil
    package var isHalfCloseAllowed = false
    package var isUpstreamKeepAlive = false
    package var upstreamReceiveBufferBytes: Int? = nil
    package var upstreamSendBufferBytes: Int? = nil

    /// Nil where the block listens nowhere with `ssl`; and where it has no certificate of its own and is not the
    /// default server of its address, whose settings then hold for it, too.
    package var tls: Shared<TLSServerSettings>? = nil
    package var handshakeTimeoutMilliseconds = 60_000
    /// `ssl_preread`: reads the ClientHello and leaves it as it is.
    package var readsClientHello = false
    /// Nil: `proxy_ssl off`.
    package var proxyTLS: Shared<TLSClientSettings>? = nil

    package var errorLogs: [ErrorLog] = []
    package var accessLogs: [AccessLog] = []
    package var healthChecks: [HealthCheck] = []

    package init(origin: String, content: Content) {
        self.origin = origin
        self.content = content
    }
}

// MARK: - Health checks

/// One `health_check` of one server block.
package struct HealthCheck: Sendable {
    package var upstream: Int
    package var intervalMilliseconds = 5_000
    package var jitterMilliseconds = 0
    package var fails = 1
    package var passes = 1
    package var isMandatory = false
    package var isPersistent = false
    /// Nil: the peer's own port.
    package var port: UInt16? = nil
    /// Index into `Configuration.matches`; nil: a TCP connect is enough.
    package var match: Int? = nil
    package var connectTimeoutMilliseconds = 60_000
    /// `health_check_timeout`: from the connect to the answer.
    package var timeoutMilliseconds = 5_000
    /// Bytes of the answer that are looked at (`proxy_buffer_size`).
    package var answerBytesMax = 16 * 1024
    /// Of the server block: the check is a TLS client, too. Nil: plaintext.
    package var tls: Shared<TLSClientSettings>? = nil
    package var errorLogs: [ErrorLog] = []
    package init(upstream: Int) { self.upstream = upstream }
}

/// A `match` block.
package struct HealthMatch: Sendable, Equatable {
    package enum Expectation: Sendable, Equatable {
        /// The answer contains these bytes.
        case literal([UInt8])
        /// Index-free: the text of the expression, compiled by who uses it (Patterns).
        case pattern(String, ignoresCase: Bool)
    }
    package var name: String
    package var send: [UInt8]? = nil
    package var expect: Expectation? = nil
    package init(name: String) { self.name = name }
}
