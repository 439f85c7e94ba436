// SPDX-License-Identifier: Apache-2.0
//
// Where a worker's log lines go. A sink is one destination with its descriptor, opened by the master; lines are put
// together whole in the sink's buffer and written whole, at the end of the turn, when `buffer=` is full, or when
// `flush=` is over. Error lines are written at once, behind the access lines that wait for the same descriptor.

import LinuxIO
import ProxyConfig
import Vocabulary

struct LogSink {
    let destination: LogDestination
    var descriptor: Int32
    var buffer: [UInt8] = []
    /// The largest `buffer=` that the present configuration gives this destination; nil: written each turn.
    var bufferBytes: Int? = nil
    var flushMilliseconds: Int? = nil
    /// When the oldest line in the buffer must be out; nil without `flush=` or lines.
    var flushAt: UInt64? = nil
    /// Errors of this sink are reported once a minute, as nginx does.
    var quietUntil: UInt64 = 0
    var lostLines: UInt64 = 0
}

/// All sinks of a worker. A sink is never removed: live sessions of an old configuration may still log to it, and there
/// are only as many as destinations were ever configured.
struct LogSinks {
    /// A buffer without `buffer=` is written when it has this much, so that a storm in one turn does not make it grow.
    private static let turnBytesMax = 64 * 1024

    private(set) var sinks: [LogSink] = []
    /// No sink is due before this; `UInt64.max` when none is. Kept, since it is asked for in every turn.
    private(set) var nextFlush = UInt64.max
    /// True while some sink has lost lines that nobody has heard of.
    private(set) var hasLoss = false
    /// Sinks that have lines to be written at the end of the turn.
    private var dirty: [Int] = []

    /// The sink of a destination; a new descriptor replaces the old one, which is closed.
    mutating func open(_ destination: LogDestination, descriptor: Int32?) -> Int {
        if let index = sinks.firstIndex(where: { $0.destination == destination }) {
            if let descriptor {
                write(index)
                if sinks[index].descriptor != 2 { Descriptors.close(sinks[index].descriptor) }
                sinks[index].descriptor = descriptor
            }
            return index
        }
        sinks.append(LogSink(destination: destination, descriptor: descriptor ?? 2))
        return sinks.count - 1
    }

    mutating func configure(_ sink: Int, bufferBytes: Int?, flushMilliseconds: Int?) {
        write(sink)
        sinks[sink].bufferBytes = bufferBytes
        sinks[sink].flushMilliseconds = flushMilliseconds
    }

    /// Appends a line that ends with a newline.
    mutating func append(_ line: [UInt8], to sink: Int, now: UInt64) {
        if case .syslog = sinks[sink].destination {
            sendDatagram(line, to: sink)
            return
        }
        let limit = sinks[sink].bufferBytes ?? LogSinks.turnBytesMax
        if sinks[sink].buffer.count + line.count > limit { write(sink) }
        if sinks[sink].buffer.isEmpty {
            if sinks[sink].bufferBytes == nil { dirty.append(sink) }
            if let wait = sinks[sink].flushMilliseconds {
                let due = now + UInt64(wait)
                sinks[sink].flushAt = due
                nextFlush = min(nextFlush, due)
            }
        }
        sinks[sink].buffer.append(contentsOf: line)
        if sinks[sink].buffer.count > limit { write(sink) }
    }

    /// Writes a line at once.
    mutating func appendNow(_ line: [UInt8], to sink: Int, now: UInt64) {
        append(line, to: sink, now: now)
        write(sink)
    }

    /// At the end of a turn: everything without `buffer=`, and what `flush=` has made due.
    mutating func endTurn(now: UInt64) {
        if !dirty.isEmpty {
            for sink in dirty { write(sink) }
            dirty.removeAll(keepingCapacity: true)
        }
        if nextFlush <= now { flushDue(now: now) }
    }

    private mutating func flushDue(now: UInt64) {
        nextFlush = UInt64.max
        for index in sinks.indices {
            guard let due = sinks[index].flushAt else { continue }
            if due <= now { write(index) } else { nextFlush = min(nextFlush, due) }
        }
    }

    mutating func writeAll() {
        for index in sinks.indices { write(index) }
    }


    /// Lines that could not be written since the last call, with the sink and the reason; at most one a minute a sink.
    mutating func takeLoss(now: UInt64) -> (destination: LogDestination, lines: UInt64)? {
        for index in sinks.indices where sinks[index].lostLines > 0 && sinks[index].quietUntil <= now {
            let lines = sinks[index].lostLines
            sinks[index].lostLines = 0
            sinks[index].quietUntil = now + 60_000
            return (sinks[index].destination, lines)
        }
        hasLoss = sinks.contains { $0.lostLines > 0 }
        return nil
    }

    private mutating func write(_ sink: Int) {
        sinks[sink].flushAt = nil
        guard !sinks[sink].buffer.isEmpty else { return }
        do throws(Errno) {
            try Files.writeAll(sinks[sink].descriptor, sinks[sink].buffer)
        } catch {
            let lines = UInt64(sinks[sink].buffer.count { $0 == UInt8(ascii: "\n") })
            sinks[sink].lostLines += lines
            hasLoss = true
        }
        // What a storm has made large is given back; a buffer of a usual size stays.
        let keep = sinks[sink].buffer.capacity <= 2 * LogSinks.turnBytesMax
        sinks[sink].buffer.removeAll(keepingCapacity: keep)
    }

    /// A syslog server that is not there loses lines; it must never hold a session.
    private mutating func sendDatagram(_ line: [UInt8], to sink: Int) {
        let payload = line.last == UInt8(ascii: "\n") ? line.dropLast() : line[...]
        do throws(Errno) {
            _ = try Sockets.send(sinks[sink].descriptor, payload)
        } catch {
            sinks[sink].lostLines += 1
            hasLoss = true
        }
    }
}
