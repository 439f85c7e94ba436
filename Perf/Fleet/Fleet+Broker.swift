// SPDX-License-Identifier: Apache-2.0
//
// The null broker: the least that can stand behind a proxy. CONNECT is answered with CONNACK, PUBLISH of QoS 1 with
// PUBACK, QoS 0 is counted; SUBSCRIBE starts a stream of bulk packets when a bulk job runs.

import LinuxIO

extension Fleet {
    func acceptAll(_ listener: Int32) {
        var peer = SocketAddress()
        do throws(Errno) {
            while let owner = try Sockets.accept(listener, from: &peer) {
                let number = owner.release()
                try Sockets.setNoDelay(number)
                try take(number, as: .broker, wantsRoom: false)
            }
        } catch {
            tally.brokerFaults += 1
            tally.lastError = error.text
        }
    }

    func serveBroker(_ event: Epoll.Event) {
        let number = event.number
        if event.isWritable, connections[Int(number)].bulkLeft > 0 { pump(number) }
        guard event.isReadable, connections[Int(number)].role == .broker else { return }
        switch receive(number) {
        case .nothing: break
        case .ended: close(number)
        case .failed(let error): brokerFault(number, error)
        case .bytes(let count): answer(number, count)
        }
    }

    /// All answers to what one receive brought go out in one send.
    private func answer(_ number: Int32, _ count: Int) {
        replies.removeAll(keepingCapacity: true)
        var offset = 0
        var startsBulk = false
        while let packet = nextPacket(of: number, in: count, at: &offset) {
            switch packet {
            case .connect: replies.append(contentsOf: [0x20, 2, 0, 0])
            case .publish(let packetID?): replies.append(contentsOf: [0x40, 2, high(packetID), low(packetID)])
            case .publish(packetID: nil): record.bulkPackets += 1
            case .subscribe(let packetID):
                replies.append(contentsOf: [0x90, 3, high(packetID), low(packetID), 0])
                startsBulk = true
            case .pingRequest: replies.append(contentsOf: [0xD0, 0])
            case .disconnect: break
            case .connack, .puback, .suback, .fault:
                tally.wrongPackets += 1
                return close(number)
            }
        }
        if !replies.isEmpty, !sendSmall(number, replies) { return brokerFault(number, nil) }
        if startsBulk { startBulk(number) }
    }

    func brokerFault(_ number: Int32, _ error: Errno?) {
        tally.brokerFaults += 1
        if let error { tally.lastError = error.text }
        close(number)
    }

    private func high(_ word: UInt16) -> UInt8 { UInt8(word >> 8) }
    private func low(_ word: UInt16) -> UInt8 { UInt8(truncatingIfNeeded: word) }
}
