// SPDX-License-Identifier: Apache-2.0
//
// The socket of a connection to a broker: made, set up and bound as a server block asks.

import LinuxIO
import Vocabulary

extension Sockets {
    /// The number of a non-blocking socket that is not connected; its caller closes it.
    static func openBroker(_ request: BrokerSocketRequest) throws(Errno) -> Int32 {
        let socket = try makeStream(for: request.address)
        let isIP = request.address.endpoint != nil
        if isIP {
            if request.isTCPNoDelay { try setNoDelay(socket.number) }
            if request.isKeepAlive { try setKeepAlive(socket.number) }
        }
        if request.receiveBufferBytes > 0 {
            try setReceiveBuffer(socket.number, bytes: Int(request.receiveBufferBytes))
        }
        if request.sendBufferBytes > 0 { try setSendBuffer(socket.number, bytes: Int(request.sendBufferBytes)) }
        if let local = request.bindTo {
            if request.isTransparent { try setTransparent(socket.number, isIPv6: local.address.family == .ipv6) }
            // The port is chosen at connect, for the whole 4-tuple: one source address then serves 64,000 connections
            // to each broker instead of 28,000 to all of them (ip(7), IP_BIND_ADDRESS_NO_PORT, Linux 4.2).
            if local.port == 0 { try setBindWithoutPort(socket.number) }
            try bind(socket.number, to: SocketAddress(local))
        }
        return socket.release()
    }
}
