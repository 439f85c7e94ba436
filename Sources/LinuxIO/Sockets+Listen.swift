// SPDX-License-Identifier: Apache-2.0
//
// Listening sockets. Only the master makes them; a worker gets its own over the control link.

import Glibc
import Vocabulary

/// What `listen` may ask of a socket. The defaults are nginx's.
package struct ListenOptions: Sendable, Equatable {
    package var backlog = 511
    package var isReusePort = false
    package var isIPv6Only = true
    package var receiveBufferBytes: Int? = nil
    package var sendBufferBytes: Int? = nil
    package var fastOpenQueue: Int? = nil
    package var isDeferred = false
    package var isMultipath = false
    /// Nil leaves the system's value.
    package var isKeepAlive: Bool? = nil
    package var keepAliveIdleSeconds: Int? = nil
    package var keepAliveIntervalSeconds: Int? = nil
    package var keepAliveProbes: Int? = nil

    package init() {}
}

/// Which call failed, as nginx words it: `bind() to 0.0.0.0:1883 failed (98: Address already in use)`.
package struct CallFault: Error, Sendable, Equatable {
    package var call: String
    package var error: Errno

    package init(call: String, error: Errno) {
        self.call = call
        self.error = error
    }
}

extension Sockets {
    /// A listening socket. The order matters: buffers before listen(2), so that the window scale is right; deferred
    /// accept and fast open after bind(2).
    package static func listen(at endpoint: Endpoint, _ options: ListenOptions) throws(CallFault) -> Descriptor {
        let owner = try open(at: endpoint, options)
        try step("listen()") { () throws(Errno) in
            _ = try answer { Glibc.listen(owner.number, Int32(clamping: options.backlog)) }
        }
        return owner
    }

    /// listen(2): a bound socket begins to listen, one that listens gets another backlog.
    package static func setBacklog(_ number: Int32, _ backlog: Int) throws(Errno) {
        _ = try answer { Glibc.listen(number, Int32(clamping: backlog)) }
    }

    /// Changes what can change on a socket that is bound or listens already (a reload keeps the socket).
    package static func apply(_ options: ListenOptions, to number: Int32, isIP: Bool) throws(CallFault) {
        if let bytes = options.receiveBufferBytes {
            try step("setsockopt(SO_RCVBUF)") { () throws(Errno) in try setReceiveBuffer(number, bytes: bytes) }
        }
        if let bytes = options.sendBufferBytes {
            try step("setsockopt(SO_SNDBUF)") { () throws(Errno) in try setSendBuffer(number, bytes: bytes) }
        }
        guard isIP else { return }
        if let isOn = options.isKeepAlive {
            try step("setsockopt(SO_KEEPALIVE)") { () throws(Errno) in try setKeepAlive(number, isOn) }
        }
        try step("setsockopt(TCP_KEEPIDLE)") { () throws(Errno) in
            try setKeepAliveTimes(
                number, idleSeconds: options.keepAliveIdleSeconds,
                intervalSeconds: options.keepAliveIntervalSeconds, probes: options.keepAliveProbes)
        }
        if let queue = options.fastOpenQueue {
            try step("setsockopt(TCP_FASTOPEN)") { () throws(Errno) in try setFastOpen(number, queue: queue) }
        }
        try step("setsockopt(TCP_DEFER_ACCEPT)") { () throws(Errno) in
            try setDeferredAccept(number, seconds: options.isDeferred ? 1 : 0)
        }
    }

    /// A bound socket that does not listen yet: `setBacklog` makes it listen, and only then does it join its reuseport
    /// group.
    package static func open(at endpoint: Endpoint, _ options: ListenOptions) throws(CallFault) -> Descriptor {
        let isIP = if case .ip = endpoint { true } else { false }
        let address: SocketAddress
        do throws(Errno) { address = try SocketAddress(endpoint) } catch {
            throw CallFault(call: "bind()", error: error)
        }
        let owner: Descriptor
        do throws(Errno) { owner = try makeStream(for: address, isMultipath: options.isMultipath) } catch {
            throw CallFault(call: "socket()", error: error)
        }
        let number = owner.number
        if isIP {
            try step("setsockopt(SO_REUSEADDR)") { () throws(Errno) in try setReuseAddress(number) }
            if options.isReusePort {
                try step("setsockopt(SO_REUSEPORT)") { () throws(Errno) in try setReusePort(number) }
            }
            if address.family == AF_INET6 {
                try step("setsockopt(IPV6_V6ONLY)") { () throws(Errno) in
                    try setIPv6Only(number, options.isIPv6Only)
                }
            }
        }
        try step("bind()") { () throws(Errno) in try bind(number, to: address) }
        if case .unix(let path) = endpoint {
            // nginx: anybody may connect; the folder's rights limit who does.
            try step("chmod()") { () throws(Errno) in try Files.setMode(path, 0o666) }
        }
        try apply(options, to: number, isIP: isIP)
        return owner
    }

    private static func step(_ call: String, _ body: () throws(Errno) -> Void) throws(CallFault) {
        do throws(Errno) { try body() } catch { throw CallFault(call: call, error: error) }
    }
}
