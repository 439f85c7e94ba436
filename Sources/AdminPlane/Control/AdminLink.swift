// SPDX-License-Identifier: Apache-2.0
//
// The link to the master: what comes is a stream of arrivals for one task; anybody may send.

import ControlLink
import LinuxIO

final class AdminLink: Sendable {
    enum Arrival: Sendable {
        /// The descriptor, where one came, belongs to whoever takes the arrival.
        case message(LinkMessage, descriptor: Int32?)
        case malformed(LinkFault)
        /// The other side has gone, or the kernel says that the link is of no use; nothing comes after this.
        case ended
    }

    private let endpoint: LinkEndpoint

    /// Takes over a SOCK_SEQPACKET socket.
    init(socket: consuming Descriptor) { endpoint = LinkEndpoint(socket: socket) }

    /// False: the message did not go out.
    func send(_ message: LinkMessage) -> Bool { (try? endpoint.send(message)) ?? false }

    /// Call once. Nothing is lost that comes before somebody iterates.
    func arrivals() -> AsyncStream<Arrival> {
        let (stream, continuation) = AsyncStream.makeStream(of: Arrival.self)
        ReadWatch.begin(endpoint.number) { [self] in
            let goesOn = drain(into: continuation)
            if !goesOn { continuation.finish() }
            return goesOn
        }
        return stream
    }

    private func drain(into continuation: AsyncStream<Arrival>.Continuation) -> Bool {
        do throws(Errno) {
            while true {
                switch try endpoint.receive() {
                case .message(var arrival):
                    let descriptor = arrival.takeDescriptor()
                    let number: Int32?
                    if let descriptor { number = descriptor.release() } else { number = nil }
                    continuation.yield(.message(arrival.message, descriptor: number))
                case .wouldBlock: return true
                case .malformed(let fault): continuation.yield(.malformed(fault))
                case .ended:
                    continuation.yield(.ended)
                    return false
                }
            }
        } catch {
            continuation.yield(.ended)
            return false
        }
    }
}
