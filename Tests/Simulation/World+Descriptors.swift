// SPDX-License-Identifier: Apache-2.0
//
// The descriptor table: sockets, pipes and listeners by number, and what a close means to an operation in flight.

import EventLoop
import LinuxIO
import Vocabulary

extension World {
    func open(_ entry: Entry) -> Int32 {
        openDescriptors += 1
        if let index = table.firstIndex(where: { $0 == nil }) {
            table[index] = entry
            return World.firstNumber + Int32(index)
        }
        table.append(entry)
        return World.firstNumber + Int32(table.count - 1)
    }

    func entry(_ number: Int32) -> Entry? {
        let index = Int(number - World.firstNumber)
        return table.indices.contains(index) ? table[index] : nil
    }

    /// The socket of a number that the worker uses now.
    func socket(_ number: Int32, for what: StaticString) -> SimulatedSocket? {
        guard case .socket(let socket) = entry(number), !closing.contains(number) else {
            fault("\(what) at descriptor \(number), which is no open socket")
            return nil
        }
        return socket
    }

    /// A listener is told by what stands in the file that came over the link.
    func listener(_ number: Int32) -> Listener? {
        if closing.contains(number) { fault("listener \(number) is used after its close") }
        if let known = listenerNumbers[number] { return known }
        guard let bytes = try? Memory.readSealed(number, bytesMax: 4), bytes.count == 4 else {
            fault("\(number) is no listener")
            return nil
        }
        let identity = bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard let listener = listenersByIdentity[identity] else { return nil }
        listenerNumbers[number] = listener
        return listener
    }

    func queueClose(_ number: Int32) {
        if listenerNumbers[number] == nil, entry(number) == nil { fault("close of \(number), which is not open") }
        if !closing.insert(number).inserted { fault("\(number) is closed twice") }
        if case .socket(let socket) = entry(number) { socket.isDescriptorClosed = true }
        submissions.append(.close(number))
    }

    func closeNow(_ number: Int32) {
        closing.remove(number)
        if let listener = listenerNumbers.removeValue(forKey: number) {
            Descriptors.close(number)
            return close(listener)
        }
        guard let entry = entry(number) else { return }
        table[Int(number - World.firstNumber)] = nil
        openDescriptors -= 1
        if case .socket(let socket) = entry { closeIfUnused(socket) }
    }

    func close(_ listener: Listener) {
        listener.isClosed = true
        if listener.accept != nil { fault("listener \(listener.endpoint.text) was closed while accepting") }
        if listenerAt[listener.endpoint] === listener { listenerAt[listener.endpoint] = nil }
        for socket in listener.queue {
            let peer = socket.peer
            socket.close(resets: true, keptBytes: keptBytes)
            touched(peer)
        }
        listener.queue.removeAll()
    }

    /// An operation in flight keeps its socket alive over the close of its number.
    func closeIfUnused(_ socket: SimulatedSocket) {
        guard socket.isDescriptorClosed, socket.operations.isEmpty, !isInTable(socket) else { return }
        let peer = socket.peer
        socket.close(resets: false, keptBytes: keptBytes)
        touched(peer)
    }

    func isInTable(_ socket: SimulatedSocket) -> Bool {
        table.contains { entry in
            if case .socket(let other) = entry { return other === socket }
            return false
        }
    }

    func pipe(_ number: Int32, for what: StaticString) -> SimulatedPipe? {
        switch entry(number) {
        case .pipeRead(let pipe), .pipeWrite(let pipe):
            if !closing.contains(number) { return pipe }
        default: break
        }
        fault("\(what) at \(number), which is no open pipe")
        return nil
    }

    /// Numbers that are open, known to the worker and not about to be closed.
    var openNumbers: Set<Int32> {
        var numbers: Set<Int32> = []
        for (index, entry) in table.enumerated() where entry != nil {
            let number = World.firstNumber + Int32(index)
            if !closing.contains(number) { numbers.insert(number) }
        }
        // Of these the worker has not heard yet.
        for entry in ready {
            if case .accept = entry.operation.kind { numbers.remove(entry.completion.result) }
        }
        return numbers
    }
}
