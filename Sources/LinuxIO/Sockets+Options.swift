// SPDX-License-Identifier: Apache-2.0
//
// Socket options by name. Values are integers in all of them.

import CLinux
import Glibc

extension Sockets {
    package static func setNoDelay(_ number: Int32, _ on: Bool = true) throws(Errno) {
        try setOption(number, tcp, Option.noDelay, on ? 1 : 0)
    }

    package static func setKeepAlive(_ number: Int32, _ on: Bool = true) throws(Errno) {
        try setOption(number, SOL_SOCKET, SO_KEEPALIVE, on ? 1 : 0)
    }

    /// Nil leaves the system's value.
    package static func setKeepAliveTimes(
        _ number: Int32, idleSeconds: Int?, intervalSeconds: Int?, probes: Int?
    ) throws(Errno) {
        if let idleSeconds { try setOption(number, tcp, Option.keepIdle, clamped(idleSeconds)) }
        if let intervalSeconds { try setOption(number, tcp, Option.keepInterval, clamped(intervalSeconds)) }
        if let probes { try setOption(number, tcp, Option.keepCount, clamped(probes)) }
    }

    package static func setReceiveBuffer(_ number: Int32, bytes: Int) throws(Errno) {
        try setOption(number, SOL_SOCKET, SO_RCVBUF, clamped(bytes))
    }

    package static func setSendBuffer(_ number: Int32, bytes: Int) throws(Errno) {
        try setOption(number, SOL_SOCKET, SO_SNDBUF, clamped(bytes))
    }

    /// Beyond the system's maximum where this process may (CAP_NET_ADMIN), else up to it.
    package static func setSendBufferForced(_ number: Int32, bytes: Int) throws(Errno) {
        do throws(Errno) {
            try setOption(number, SOL_SOCKET, SO_SNDBUFFORCE, clamped(bytes))
        } catch Errno.notPermitted {
            try setSendBuffer(number, bytes: bytes)
        }
    }

    /// The port is chosen at connect(2), by the whole four-tuple, and not at bind(2): without it `proxy_bind` uses up
    /// the ephemeral ports of the address (ip(7)).
    package static func setBindWithoutPort(_ number: Int32) throws(Errno) {
        try setOption(number, ip, Option.bindAddressNoPort, 1)
    }

    /// Lets bind(2) take an address that is not of this host. `isIPv6` is the socket's family.
    package static func setTransparent(_ number: Int32, isIPv6: Bool) throws(Errno) {
        try setOption(number, isIPv6 ? ipv6 : ip, isIPv6 ? Option.transparentIPv6 : Option.transparent, 1)
    }

    package static func setReuseAddress(_ number: Int32) throws(Errno) {
        try setOption(number, SOL_SOCKET, SO_REUSEADDR, 1)
    }

    package static func setReusePort(_ number: Int32) throws(Errno) {
        try setOption(number, SOL_SOCKET, SO_REUSEPORT, 1)
    }

    package static func setIPv6Only(_ number: Int32, _ on: Bool) throws(Errno) {
        try setOption(number, ipv6, Option.ipv6Only, on ? 1 : 0)
    }

    package static func setFastOpen(_ number: Int32, queue: Int) throws(Errno) {
        try setOption(number, tcp, Option.fastOpen, clamped(queue))
    }

    /// A connection is reported once its first bytes are there, or after this many seconds without them.
    package static func setDeferredAccept(_ number: Int32, seconds: Int) throws(Errno) {
        try setOption(number, tcp, Option.deferAccept, clamped(seconds))
    }

    /// close(2) answers the peer with a reset.
    package static func setResetOnClose(_ number: Int32) throws(Errno) {
        var value = linger(l_onoff: 1, l_linger: 0)
        let size = socklen_t(MemoryLayout<linger>.size)
        _ = try answer { unsafe setsockopt(number, SOL_SOCKET, SO_LINGER, &value, size) }
    }

    /// New connections of the reuseport group of `number` go to the `count` members that joined first, at random
    /// (SO_ATTACH_REUSEPORT_CBPF). For TCP only: a UDP session must stay on its socket.
    package static func steerGroup(of number: Int32, toFirst count: Int) throws(Errno) {
        try result { cl_steer(number, UInt32(clamping: count)) }
    }

    /// Back to the kernel's spreading. A group without a program answers `notFound`.
    package static func unsteerGroup(of number: Int32) throws(Errno) {
        try result { cl_unsteer(number) }
    }

    static func integerOption(_ number: Int32, _ level: Int32, _ option: Int32) throws(Errno) -> Int32 {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        _ = try answer { unsafe getsockopt(number, level, option, &value, &size) }
        return value
    }

    private static func setOption(_ number: Int32, _ level: Int32, _ option: Int32, _ value: Int32) throws(Errno) {
        var value = value
        let size = socklen_t(MemoryLayout<Int32>.size)
        _ = try answer { unsafe setsockopt(number, level, option, &value, size) }
    }

    private static func clamped(_ value: Int) -> Int32 { Int32(clamping: value) }

    private static var ip: Int32 { 0 }
    private static var tcp: Int32 { 6 }
    private static var ipv6: Int32 { 41 }

    /// Numbers of the kernel's ABI (linux/tcp.h, linux/in.h, linux/in6.h), the same on every processor that Swift runs
    /// on. Swift's Glibc module lacks netinet/tcp.h.
    private enum Option {
        static var noDelay: Int32 { 1 }
        static var keepIdle: Int32 { 4 }
        static var keepInterval: Int32 { 5 }
        static var keepCount: Int32 { 6 }
        static var deferAccept: Int32 { 9 }
        static var fastOpen: Int32 { 23 }
        static var transparent: Int32 { 19 }
        static var bindAddressNoPort: Int32 { 24 }
        static var ipv6Only: Int32 { 26 }
        static var transparentIPv6: Int32 { 75 }
    }
}
