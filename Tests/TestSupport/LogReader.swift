// SPDX-License-Identifier: Apache-2.0
//
// The whole lines of a log that grows: each look reads only what is new, so that waiting for a line costs the same in a
// long log as in a short one. A log that was replaced or cut is read from its beginning.

import Foundation
import Glibc
import Synchronization

final class LogReader: Sendable {
    private struct State {
        var inode: UInt64 = 0
        var offset: UInt64 = 0
        /// The beginning of a line whose end is not written yet.
        var rest = Data()
        var lines: [String] = []
    }

    private let path: String
    private let state = Mutex(State())

    init(_ path: String) { self.path = path }

    var lines: [String] {
        state.withLock { state in
            guard let file = FileHandle(forReadingAtPath: path) else { return state.lines }
            defer { try? file.close() }
            var status = stat()
            guard unsafe fstat(file.fileDescriptor, &status) == 0 else { return state.lines }
            if UInt64(status.st_ino) != state.inode || UInt64(status.st_size) < state.offset {
                state = State(inode: UInt64(status.st_ino))
            }
            guard (try? file.seek(toOffset: state.offset)) != nil, let new = try? file.readToEnd() else {
                return state.lines
            }
            state.offset += UInt64(new.count)
            state.rest.append(new)
            var parts = state.rest.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            state.rest = Data(parts.removeLast())
            state.lines += parts.map { String(decoding: $0, as: UTF8.self) }
            return state.lines
        }
    }
}
