// SPDX-License-Identifier: Apache-2.0
//
// A client that comes back: connects, subscribes, and after an end connects anew, sooner first and later then. What the
// messages mean is its owner's.

import LinuxIO
import MQTTClient
import Vocabulary

final class DeviceLink {
    let clientID: String
    private let filters: [String]
    /// Where each connection goes and comes from.
    private let target: IPEndpoint
    private let source: IPAddress?
    /// TLS, for a link that speaks it.
    private let security: DeviceSecurity?

    private var connection: DeviceConnection? = nil
    /// While there is no connection: when to try the next.
    private var nextTry: UInt64 = 0
    private var pauseMilliseconds = DeviceLink.pauseMillisecondsMin
    private var grantsMissing = 0
    /// CONNACKs so far; one more than before says that this is another session.
    private(set) var sessionCount = 0
    private(set) var lastEnd: DeviceCloseReason? = nil
    private static let pauseMillisecondsMin: UInt64 = 100
    private static let pauseMillisecondsMax: UInt64 = 2000

    init(
        clientID: String, to target: IPEndpoint, from source: IPAddress? = nil,
        secured security: DeviceSecurity? = nil, subscribe filters: [String] = []
    ) {
        self.clientID = clientID
        self.target = target
        self.source = source
        self.security = security
        self.filters = filters
    }

    /// Connected, and every subscription granted.
    var isReady: Bool { isConnected && grantsMissing == 0 }
    var isConnected: Bool { connection?.isConnected ?? false }
    /// As Weir sees it.
    var localAddress: IPEndpoint? { connection?.localAddress }

    var pollEntry: PollEntry { connection?.pollEntry ?? PollEntry(-1, []) }
    var nextDeadline: UInt64? { connection == nil ? nextTry : connection?.nextDeadline }

    /// What the poll set says and what the time asks for; gives the messages that came.
    func turn(_ happened: PollEntry.Events, now: UInt64) -> [(topic: String, payload: [UInt8])] {
        if connection == nil {
            guard now >= nextTry else { return [] }
            var settings = DeviceSettings(clientID: clientID, keepAliveSeconds: 20)
            settings.connectTimeoutMilliseconds = 3000
            connection = DeviceConnection(to: target, from: source, secured: security, settings, now: now)
        } else {
            connection?.handle(happened, now: now)
            connection?.tick(now: now)
        }
        var messages: [(topic: String, payload: [UInt8])] = []
        while let event = connection?.nextEvent() {
            switch event {
            case .connected:
                sessionCount += 1
                pauseMilliseconds = Self.pauseMillisecondsMin
                grantsMissing = filters.count
                for filter in filters { _ = try? connection?.subscribe(filter, quality: .atLeastOnce, now: now) }
            case .subscribed(_, let codes):
                if codes.allSatisfy({ $0 < 0x80 }) { grantsMissing -= 1 }
            case .message(let topic, let payload, _):
                messages.append((String(decoding: topic, as: UTF8.self), payload))
            case .acknowledged:
                break
            case .closed(let reason):
                lastEnd = reason
                connection = nil
                nextTry = now + pauseMilliseconds
                pauseMilliseconds = min(pauseMilliseconds * 2, Self.pauseMillisecondsMax)
            }
        }
        return messages
    }

    /// False while there is no session.
    @discardableResult
    func publish(topic: String, payload: [UInt8], quality: DeviceQuality = .atMostOnce, now: UInt64) -> Bool {
        do throws(DeviceRefusal) {
            guard connection != nil else { return false }
            try connection?.publish(topic: topic, payload: payload, quality: quality, now: now)
            return true
        } catch {
            return false
        }
    }

    /// Ends the session; the next turn begins another.
    func reconnect() {
        connection?.disconnect()
        connection = nil
        nextTry = 0
    }

    /// For good.
    func close() {
        connection?.disconnect()
        connection = nil
        nextTry = .max
    }
}
