// SPDX-License-Identifier: Apache-2.0
//
// A log file without a name.

import Glibc

enum LogFile {
    static func make() throws -> Int32 {
        var path = Array("/tmp/weir-simulation-XXXXXX".utf8CString)
        let number = unsafe path.withUnsafeMutableBufferPointer { unsafe mkstemp($0.baseAddress!) }
        guard number >= 0 else { throw Fault.noFile }
        unsafe path.withUnsafeBufferPointer { _ = unsafe unlink($0.baseAddress!) }
        return number
    }

    static func read(_ number: Int32) -> [UInt8] {
        var status = stat()
        guard unsafe fstat(number, &status) == 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe pread(number, $0.baseAddress, $0.count, 0) }
        return Array(bytes.prefix(max(0, count)))
    }

    enum Fault: Error { case noFile }
}
