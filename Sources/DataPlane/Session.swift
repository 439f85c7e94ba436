// SPDX-License-Identifier: Apache-2.0
//
// One session's record: a plain value in a table, so that an idle session is a few hundred bytes and nothing else.
// SessionMachine and DirectionMachine say what may happen to it; the worker's phases do it.

import EventLoop
import MQTTWire
import ProxyConfig
import SessionCore
import SharedState
import TLSEngine
import Vocabulary

/// The two ends of a session, as the phases name them.
enum Side: BitwiseCopyable { case client, broker }

/// The two directions: `upload` from client to broker, `download` back.
enum Way: BitwiseCopyable { case upload, download }

/// One direction's working state.
struct DirectionState: BitwiseCopyable {
    var machine = DirectionMachine()
    /// Holds the pending bytes while they are sent out of the pool, only within a turn or two.
    var buffer: BufferID? = nil
    /// Instead of `buffer`: what TLS made of a receive.
    var sealed: TLSBuffer? = nil
    /// One of the two sides speaks TLS: what is received is not what is sent.
    var isSealed = false
    /// The source's connection ended without close_notify.
    var isTruncated = false
    /// TLS has something of its own to tell the target, behind what is being sent.
    var owesAside = false
    /// Holds the pending bytes while the target has no room.
    var own = OwnMemory()
    /// Holds what came behind the pending bytes. Apart from `own`, which a send may be reading.
    var behind = OwnMemory()
    var pipe: PipeDescriptors? = nil
    /// Bytes a second; 0 is no limit.
    var rate: UInt64 = 0
    /// A rate's pause ends then; 0 is none.
    var resumeAt: UInt64 = 0
    /// Received from the source, and sent to the target.
    var received: UInt64 = 0
    var sent: UInt64 = 0
    /// Of a sealed direction: what the pending and the waiting bytes are worth in plaintext.
    var plainPending: UInt32 = 0
    var plainBehind: UInt32 = 0
}

struct Session: BitwiseCopyable {
    var machine = SessionMachine()
    /// Tells this life of the slot from all former ones.
    var generation: UInt32 = 0
    var client: Int32 = -1
    var broker: Int32 = -1
    /// Index into the worker's settings table.
    var settings: UInt32 = 0
    /// Index into the worker's listeners.
    var listener: UInt16 = 0
    /// Among the worker's inquiries, while OCSP responders are asked; -1: none.
    var inquiry: Int32 = -1
    /// How often `pass` has handed it on.
    var passes: UInt8 = 0
    var isHandshakeDone = false
    var isBrokerHandshakeDone = false
    /// close_notify came before there was a direction to end.
    var isClientClosed = false
    var isBrokerClosed = false
    /// `ssl_preread` has seen what there is.
    var isHelloRead = false
    /// Its server block is known, and with it whose zone counts it, if any does.
    var hasEnteredZone = false
    /// The client's first packet, or its handshake, is not complete.
    var isWaiting = false
    /// What became of the first packet is counted.
    var hasCountedConnect = false
    /// Its bytes are counted as they come; until then they are counted once, later.
    var isCountingBytes = false
    var clientTLS: TLSConnection? = nil
    var brokerTLS: TLSConnection? = nil
    /// Outside of forwarding: how much of the memory that is being sent is gone.
    var memoryOffset: UInt32 = 0
    /// The generation to choose a broker from, by its index in the worker's table; nil once that is over.
    var routing: Int? = nil

    var upload = DirectionState()
    var download = DirectionState()

    /// nginx's `$connection`; with the worker's run it is the session's name (Vocabulary/SessionID).
    var number: UInt64 = 0
    /// Nil for a client at a unix socket.
    var clientEndpoint: IPEndpoint? = nil
    var startedAt: UInt64 = 0
    /// Interval lines that were due until then are written; nil: none are wanted, or not yet.
    var intervalLinesUntil: UInt64? = nil
    var lastActivityAt: UInt64 = 0
    /// Preread, connect and return end at this; forwarding sessions end at `lastActivityAt` plus their idle timeout.
    var phaseDeadline: UInt64 = 0

    /// Copies of what the settings say, so that a message need not look there: milliseconds, bytes.
    var idleTimeout: UInt32 = 0
    var bufferBytes: UInt32 = 0
    /// For rates.
    var forwardingSince: UInt64 = 0

    /// The first try's start, for `proxy_next_upstream_timeout`.
    var firstTryAt: UInt64 = 0
    var connectStartedAt: UInt64 = 0
    /// Milliseconds from `connectStartedAt`; nil until it is so.
    var connectTime: UInt32? = nil
    var firstByteTime: UInt32? = nil
    var peer: PeerSlot? = nil
    var zone: ZoneSlot? = nil
    var brokerEndpoint: IPEndpoint? = nil
    /// Only while a server is being chosen: the group in `routing`'s configuration, the peer in the group, what was
    /// tried (an index into the worker's pool).
    var group: Int32 = -1
    var peerIndex: Int32 = 0
    var triesIndex: Int32 = -1
    /// How many servers were tried, the present one included.
    var tries: UInt16 = 0
    /// The present try has failed with this errno; the session waits for its linked send to come back.
    var connectError: Int32 = 0

    /// What the CONNECT said.
    var connect: ConnectFacts? = nil
    /// CONNECT as it came, kept until it is sent; then cut down to what `clientID`, `userName` and `assigned` name.
    var preread = OwnMemory()
    var isPrereadSent = false
    var clientID = ByteRange()
    var userName = ByteRange()
    /// What `ssl_preread` read: HelloFacts.
    var hello = OwnMemory()
    /// What `set` wrote: a count and lengths, then the values.
    var assigned = OwnMemory()
    /// Addresses and times of tries that failed, in text, for the variables that list all tries.
    var failedTries = OwnMemory()

    init() {}

    static var uploadOffset: Int {
        @inline(__always) get { MemoryLayout<Session>.offset(of: \.upload)! }
    }
    static var downloadOffset: Int {
        @inline(__always) get { MemoryLayout<Session>.offset(of: \.download)! }
    }

    /// The variables of MQTT are empty again, and name no bytes.
    mutating func forgetConnect() {
        connect = nil
        clientID = ByteRange()
        userName = ByteRange()
    }

    /// A broker was chosen and its connect begun; for the variables that list tries. A responder is no broker.
    var hasPresentTry: Bool { broker >= 0 && inquiry < 0 }
}

/// The numbers of a CONNECT.
struct ConnectFacts: BitwiseCopyable {
    var version: MQTTVersion
    var keepAliveSeconds: UInt16
    var isCleanStart: Bool
    var hasUserName: Bool
}
