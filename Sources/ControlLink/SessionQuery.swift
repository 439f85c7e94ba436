// SPDX-License-Identifier: Apache-2.0
//
// What the admin process asks a worker about its sessions, over a SOCK_SEQPACKET pair of the two:
//
//   admin                                     worker
//   query(number, …)                    →     looks at a few hundred slots a turn, between its other work
//                                       ←     part(number): sessions, or client ids with their counts; any number
//                                       ←     end(number, next): all was looked at, or the limit is reached
//                                       ←     refused(number): instead of all that; the query made no sense
//
// A worker answers one query after the other, in the order of asking. It never waits for a reader: parts that find no
// room in the socket hold up the query, and nothing else. Times are ages, so that the two need not agree about a clock.

import Vocabulary

package struct SessionQuery: Sendable, Equatable {
    package enum Subject: Sendable, Equatable {
        /// Sessions, in the order of their places in the worker's table.
        case list(SessionFilter)
        /// Sessions by the bytes that they have moved both ways, the most first.
        case topBytes
        /// Client ids by how often they connected in the last 10 to 20 minutes, the most first.
        case topReconnects
        /// Ends one session; the answer is the session as it was, or none.
        case close(SessionID)
    }
    package static let limitMax = 1000

    package var subject: Subject
    /// `list` only: 0, or where the former query of the same filter ended.
    package var cursor: UInt32
    /// 1 to `limitMax`.
    package var limit: Int

    package init(_ subject: Subject, cursor: UInt32 = 0, limit: Int = SessionQuery.limitMax) {
        self.subject = subject
        self.cursor = cursor
        self.limit = limit
    }
}

/// Sessions that match all that is said.
package struct SessionFilter: Sendable, Equatable {
    package static let clientIDBytesMax = 4096
    package static let peersMax = 64

    package var clientID: [UInt8]? = nil
    package var client: IPAddress? = nil
    package var clientPort: UInt16? = nil
    /// Numbers of peers' slots, any of which will do; empty: all.
    package var peers: [UInt32] = []

    package init() {}
}

/// Where a session is in its life.
package enum SessionPhase: UInt8, Sendable, CaseIterable {
    case handshaking = 1
    case prereading
    case connecting
    case forwarding
    case responding
    case closing
}

/// A session as a person wants to see it.
package struct SessionFacts: Sendable, Equatable {
    /// Longer client ids are cut, and `isClientIDCut` says so.
    package static let clientIDBytesMax = 256
    /// Of addresses as text: a unix socket's path.
    package static let addressBytesMax = 128

    package var id: SessionID
    package var phase: SessionPhase
    /// Nil: no CONNECT was read.
    package var clientID: [UInt8]? = nil
    package var isClientIDCut = false
    /// Nil for a client at a unix socket.
    package var client: IPEndpoint? = nil
    package var listener = ""
    /// Numbers of slots in the shared region; nil: none.
    package var zone: UInt32? = nil
    package var peer: UInt32? = nil
    /// The broker's address; empty: none yet.
    package var broker = ""
    package var ageMilliseconds: UInt64 = 0
    package var idleMilliseconds: UInt64 = 0
    package var received: UInt64 = 0
    package var sent: UInt64 = 0
    /// Seconds; nil: no CONNECT was read, likewise the version, which is its protocol level.
    package var keepAlive: UInt16? = nil
    package var mqttLevel: UInt8? = nil
    package var isCleanStart = false
    package var isTLS = false
    package var isBrokerTLS = false

    package init(id: SessionID, phase: SessionPhase) {
        self.id = id
        self.phase = phase
    }
}

/// A client id that connects often.
package struct ReconnectFacts: Sendable, Equatable {
    package static let clientIDBytesMax = 64

    /// Cut at `clientIDBytesMax`.
    package var clientID: [UInt8]
    /// Connects that are certain, and those that may have been others'.
    package var count: UInt64
    package var doubt: UInt64

    package init(clientID: [UInt8], count: UInt64, doubt: UInt64) {
        self.clientID = clientID
        self.count = count
        self.doubt = doubt
    }
}

/// A worker's answer to the query of the same number.
package enum SessionAnswer: Sendable, Equatable {
    case sessions([SessionFacts])
    case reconnects([ReconnectFacts])
    /// `next`: a list goes on there; nil: all was looked at.
    case end(next: UInt32?)
    case refused
}
