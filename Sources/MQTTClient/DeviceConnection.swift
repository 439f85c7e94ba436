// SPDX-License-Identifier: Apache-2.0
//
// An MQTT client on a socket, plain or through TLS, driven by its owner's poll loop: the owner polls `pollEntry`, calls
// `handle` with what happened and `tick` when `nextDeadline` has passed, then takes the events until there is none.
// Never waits. What is said and when is `DeviceMachine`'s, what TLS adds is `SecureChannel`'s; here are only the socket
// and its errors. While TLS shakes hands, the machine is still connecting.

import LinuxIO
import MQTTWire
import TLSEngine
import Vocabulary

package struct DeviceConnection: ~Copyable {
    private var machine: DeviceMachine
    /// Nil exactly when the machine is closed.
    private var socket: Descriptor?
    private var isSocketConnected = false
    /// Nil: plain.
    private let channel: SecureChannel?
    /// Where this side of the connection is, as the peer sees it.
    package let localAddress: IPEndpoint?
    private static let receiveBytesMax = 16 * 1024
    /// One TLS record.
    private static let sealBytesMax = 16 * 1024

    /// Starts to connect. A connection that cannot even be tried is closed from the start, with its event.
    package init(
        to endpoint: IPEndpoint, from source: IPAddress? = nil, secured security: DeviceSecurity? = nil,
        _ settings: DeviceSettings, now: UInt64
    ) {
        machine = DeviceMachine(settings, now: now)
        channel = security.flatMap { SecureChannel($0) }
        do throws(Errno) {
            if security != nil, channel == nil { throw Errno.outOfMemory }
            let address = SocketAddress(endpoint)
            let owner = try Sockets.makeStream(for: address)
            try Sockets.setNoDelay(owner.number)
            if let source {
                try Sockets.setBindWithoutPort(owner.number)
                try Sockets.bind(owner.number, to: SocketAddress(IPEndpoint(address: source, port: 0)))
            }
            let outcome = try Sockets.connect(owner.number, to: address)
            localAddress = Sockets.localAddress(of: owner.number)
            socket = .some(owner)
            if outcome == .connected { socketConnected(now: now) }
        } catch {
            localAddress = nil
            socket = nil
            machine.transportEnded(error)
        }
    }

    package var state: DeviceMachine.State { machine.state }
    package var isConnected: Bool { machine.state == .connected }
    package var isClosed: Bool { if case .closed = machine.state { true } else { false } }
    package var nextDeadline: UInt64? { machine.nextDeadline }

    /// For the owner's poll set; a closed connection's entry is skipped by the kernel.
    package var pollEntry: PollEntry {
        guard let number = number else { return PollEntry(-1, []) }
        guard isSocketConnected else { return PollEntry(number, .writable) }
        return PollEntry(number, hasOutput ? [.readable, .writable] : .readable)
    }

    private var number: Int32? {
        switch socket {
        case .some(let owner): owner.number
        case .none: nil
        }
    }

    // MARK: What the owner's loop says

    package mutating func handle(_ happened: PollEntry.Events, now: UInt64) {
        guard let number, !happened.isEmpty else { return }
        if !isSocketConnected { finishConnecting(number, now: now) }
        if isSocketConnected { receive(number, now: now) }
        flush()
    }

    package mutating func tick(now: UInt64) {
        machine.tick(now: now)
        flush()
    }

    package mutating func nextEvent() -> DeviceEvent? { machine.nextEvent() }

    // MARK: What the client says

    /// The packet id that `acknowledged` will name; nil for QoS 0.
    @discardableResult
    package mutating func publish(
        topic: String, payload: [UInt8], quality: DeviceQuality = .atMostOnce, isRetained: Bool = false, now: UInt64
    ) throws(DeviceRefusal) -> UInt16? {
        let packetID = try machine.publish(
            topic: topic, payload: payload, quality: quality, isRetained: isRetained, now: now)
        flush()
        return packetID
    }

    /// The packet id that `subscribed` will name.
    @discardableResult
    package mutating func subscribe(
        _ filter: String, quality: DeviceQuality = .atMostOnce, now: UInt64
    ) throws(DeviceRefusal) -> UInt16 {
        let packetID = try machine.subscribe(filter, quality: quality, now: now)
        flush()
        return packetID
    }

    /// DISCONNECT, as far as the socket takes it now, then the end.
    package mutating func disconnect() {
        machine.disconnect()
        flush()
    }

    /// The end without a word, as when a device loses its power: RST instead of FIN.
    package mutating func abort() {
        if let number { try? Sockets.setResetOnClose(number) }
        machine.abandon()
        flush()
    }

    // MARK: Socket

    private mutating func finishConnecting(_ number: Int32, now: UInt64) {
        do throws(Errno) {
            if let error = try Sockets.takeError(number) { throw error }
            socketConnected(now: now)
        } catch {
            machine.transportEnded(error)
        }
    }

    private mutating func socketConnected(now: UInt64) {
        isSocketConnected = true
        guard let channel else { return machine.transportConnected(now: now) }
        do throws(TLSFault) { try channel.begin() } catch { machine.transportBroken(.tlsFailed(error.message)) }
    }

    /// One read a turn, so that a flood at one connection does not starve its neighbours.
    private mutating func receive(_ number: Int32, now: UInt64) {
        var bytes: [UInt8] = []
        do throws(Errno) {
            let count = try Sockets.receive(number, appendingTo: &bytes, bytesMax: Self.receiveBytesMax)
            if count > 0 {
                received(bytes, now: now)
            } else if channel == nil {
                machine.transportEnded(nil)
            } else {
                machine.transportBroken(.truncated)
            }
        } catch {
            if error != .wouldBlock { machine.transportEnded(error) }
        }
    }

    private mutating func received(_ bytes: [UInt8], now: UInt64) {
        guard let channel else { return machine.received(bytes, now: now) }
        do throws(TLSFault) {
            let plain = try channel.received(bytes)
            if channel.isOpen { machine.transportConnected(now: now) }
            if !plain.isEmpty { machine.received(plain, now: now) }
            if channel.isEnded { machine.transportEnded(nil) }
        } catch {
            machine.transportBroken(.tlsFailed(error.message))
        }
    }

    /// Sends what the socket takes, and lets go of it when the machine is closed.
    private mutating func flush() {
        guard let number else { return }
        do throws(Errno) {
            if let channel {
                try send(number, through: channel)
            } else {
                while !machine.output.isEmpty {
                    machine.consumeOutput(try Sockets.send(number, machine.output[...]))
                }
            }
        } catch {
            if error != .wouldBlock { machine.transportEnded(error) }
        }
        if isClosed { socket = nil }
    }

    private mutating func send(_ number: Int32, through channel: SecureChannel) throws(Errno) {
        while true {
            while !channel.output.isEmpty { channel.consumeOutput(try Sockets.send(number, channel.output[...])) }
            if channel.isOpen, !machine.output.isEmpty {
                sealSome(channel)
            } else if isClosed, channel.isOpen, !channel.isClosing {
                channel.closeWriting()
            } else {
                return
            }
        }
    }

    /// A record, so that what the machine holds is what waits for a slow peer. What cannot be sealed does not wait.
    private mutating func sealSome(_ channel: SecureChannel) {
        let plain = machine.output.prefix(Self.sealBytesMax)
        machine.consumeOutput(plain.count)
        do throws(TLSFault) { try channel.seal(plain) } catch { machine.transportBroken(.tlsFailed(error.message)) }
    }

    /// Something waits that can be sent now: nothing of the machine's can before the channel is open.
    private var hasOutput: Bool {
        guard let channel else { return !machine.output.isEmpty }
        return !channel.output.isEmpty || channel.isOpen && !machine.output.isEmpty
    }
}
