// SPDX-License-Identifier: Apache-2.0
//
// The descriptors behind `Configuration.logDestinations`. The master opens them with its own rights, children get
// copies; a destination that cannot be opened refuses a configuration, but never takes a running log away.

import LinuxIO
import ProxyConfig
import Vocabulary

struct LogFiles {
    /// One for each destination; -1 where there is none.
    private var descriptors: [Int32] = []

    /// Nil for a syslog server that could not be reached.
    func descriptor(_ destination: Int) -> Int32? {
        descriptors[destination] >= 0 ? descriptors[destination] : nil
    }

    var indices: Range<Int> { descriptors.indices }

    /// All or none: a file that cannot be opened closes the others again.
    static func open(_ destinations: [LogDestination]) throws(StartFault) -> LogFiles {
        var files = LogFiles()
        for destination in destinations {
            do throws(StartFault) {
                files.descriptors.append(try open(destination) ?? -1)
            } catch {
                files.close()
                throw error
            }
        }
        return files
    }

    /// A descriptor that the caller closes, except that standard error is only lent. Nil for a syslog server that
    /// cannot be reached: its lines are lost until logs are reopened, but nothing else.
    static func open(_ destination: LogDestination) throws(StartFault) -> Int32? {
        switch destination {
        case .standardError: return standardError
        case .file(let path): return try append(path, mode: 0o644)
        case .keyLog(let path): return try append(path, mode: 0o600)
        case .syslog(let syslog):
            guard let address = try? SocketAddress(syslog.server) else { return nil }
            return try? Sockets.makeDatagram(to: address).release()
        }
    }

    private static func append(_ path: String, mode: UInt32) throws(StartFault) -> Int32 {
        do throws(Errno) { return try Files.openAppend(path, mode: mode).release() } catch {
            throw StartFault("open() \"\(path)\" failed (\(error.numberedText))")
        }
    }

    /// Opens each anew; one that fails keeps its old descriptor and is named in the result.
    mutating func reopen(_ destinations: [LogDestination]) -> [StartFault] {
        var faults: [StartFault] = []
        for (index, destination) in destinations.enumerated() {
            do throws(StartFault) {
                guard let descriptor = try LogFiles.open(destination) else { continue }
                LogFiles.close(descriptors[index])
                descriptors[index] = descriptor
            } catch { faults.append(error) }
        }
        return faults
    }

    mutating func close() {
        for descriptor in descriptors { LogFiles.close(descriptor) }
        descriptors = []
    }

    static func close(_ descriptor: Int32) {
        if descriptor > standardError { Descriptors.close(descriptor) }
    }

    static let standardError: Int32 = 2
}

/// Why a start or a reload cannot go on: a line for the log.
struct StartFault: Error, Equatable {
    var message: String
    /// True when waiting may help: an address that somebody else still has.
    var mayPass: Bool

    init(_ message: String, mayPass: Bool = false) {
        self.message = message
        self.mayPass = mayPass
    }
}
