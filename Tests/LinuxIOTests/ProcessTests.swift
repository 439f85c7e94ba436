// SPDX-License-Identifier: Apache-2.0
//
// Children, signals, limits. Whatever changes a process happens in a child.

import Glibc
import Testing
import Vocabulary

@testable import LinuxIO

@Suite struct ProcessTests {
    @Test("a child's way to end is told: code or signal")
    func endings() throws {
        let exiting = try inChild { 7 }
        #expect(try Processes.wait(for: exiting) == Processes.Ended(pid: exiting, way: .exited(7)))
        let waiting = try inChild {
            sleep(milliseconds: 60_000)
            return 0
        }
        #expect(try Processes.reap(waiting) == nil)
        try Processes.send(SIGKILL, to: waiting)
        let ended = try #require(try Processes.wait(for: waiting))
        #expect(ended == Processes.Ended(pid: waiting, way: .signalled(SIGKILL, dumpedCore: false)))
        #expect(ended.text == "exited on signal 9")
        #expect(try Processes.reap(waiting) == nil)
        #expect(throws: Errno.noProcess) { try Processes.send(0, to: waiting) }
    }

    @Test("another program gets its arguments and environment, and a missing one is an error")
    func execute() throws {
        let script = "test \"$1\" = 'a b' && test \"$NAME\" = value && exit 3"
        let child = try inChild {
            _ = Processes.execute("/bin/sh", ["sh", "-c", script, "sh", "a b"], environment: ["NAME=value"])
            return 1
        }
        #expect(try Processes.wait(for: child)?.way == .exited(3))
        let missing = try inChild {
            Processes.execute("/none", ["none"], environment: []) == .notFound ? 0 : 1
        }
        #expect(try Processes.wait(for: missing)?.way == .exited(0))
    }

    @Test("a child dies with its parent when it asked for it")
    func parentDeath() throws {
        let (read, write) = try Pipes.make()
        let parent = try inChild(keeping: [read, write]) {
            guard let role = try? Processes.fork() else { return 1 }
            guard case .parent(let child) = role else {
                guard (try? Processes.setParentDeathSignal(SIGKILL)) != nil else { return 1 }
                _ = try? Files.write(write, [1][...])
                sleep(milliseconds: 60_000)
                return 0
            }
            try? Loopback.awaitReadable(read)
            _ = try? Files.write(write, Array("\(child)".utf8)[...])
            return 0
        }
        #expect(try Processes.wait(for: parent)?.way == .exited(0))
        var bytes = [UInt8](repeating: 0, count: 20)
        let count = unsafe Glibc.read(read, &bytes, bytes.count)
        let grandchild = String(decoding: bytes[1..<max(1, count)], as: UTF8.self)
        let deadline = monotonicMilliseconds() + 10_000
        while isAlive(grandchild), monotonicMilliseconds() < deadline { sleep(milliseconds: 1) }
        #expect(!grandchild.isEmpty && !isAlive(grandchild))
        Descriptors.close(read)
        Descriptors.close(write)
    }

    /// A process that ended and that nobody has waited for is not alive.
    private func isAlive(_ pid: String) -> Bool {
        guard let bytes = try? Files.read("/proc/\(pid)/stat", bytesMax: 8192) else { return false }
        return !String(decoding: bytes, as: UTF8.self).contains(") Z ")
    }

    @Test("a process that gave up root has the user's ids, stays visible to it and cannot go back")
    func become() throws {
        guard Processes.isRoot, let nobody = Processes.user(named: "nobody") else { return }
        for keepsNetRaw in [false, true] {
            let child = try inChild {
                do throws(CallFault) { try Processes.become(nobody, keepsNetRaw: keepsNetRaw) } catch { return 1 }
                guard getuid() == nobody.userID, geteuid() == nobody.userID, getgid() == nobody.groupID else {
                    return 2
                }
                guard setuid(0) == -1 else { return 3 }
                let address = SocketAddress(IPEndpoint(address: IPAddress(ipv4: 0x7F00_0001), port: 0))
                guard let socket = try? Sockets.makeStream(for: address) else { return 4 }
                let isTransparent = (try? Sockets.setTransparent(socket.number, isIPv6: false)) != nil
                return isTransparent == keepsNetRaw ? 0 : 5
            }
            #expect(try Processes.wait(for: child)?.way == .exited(0))
        }
        #expect(Processes.user(named: "no-such-user") == nil)
        #expect(Processes.groupID(named: "no-such-group") == nil)
        #expect(Processes.groupID(named: "root") == 0)
    }

    @Test("a title shows in /proc, cut to the room there is")
    func title() throws {
        let child = try inChild {
            Processes.setTitle("weir: worker process", shortName: "weir: worker")
            let line = (try? Files.read("/proc/self/cmdline", bytesMax: 1 << 20)) ?? []
            let name = (try? Files.read("/proc/self/comm", bytesMax: 100)) ?? []
            guard String(decoding: name, as: UTF8.self) == "weir: worker\n" else { return 1 }
            return String(decoding: line.prefix { $0 != 0 }, as: UTF8.self) == "weir: worker process" ? 0 : 2
        }
        #expect(try Processes.wait(for: child)?.way == .exited(0))
    }

    @Test("limits and processors are those of this process")
    func limits() throws {
        let limit = try Processes.limit(of: .descriptors)
        #expect(limit.soft > 0 && limit.soft <= limit.hard)
        let processors = Processes.availableProcessorCount()
        #expect(processors >= 1)
        let child = try inChild {
            let lower = Processes.Limit(soft: 100, hard: 200)
            guard (try? Processes.setLimit(of: .descriptors, lower)) != nil,
                (try? Processes.limit(of: .descriptors)) == lower,
                let mask = try? Processes.affinity(), let first = mask.firstIndex(where: { $0 != 0 })
            else { return 1 }
            var one = [UInt64](repeating: 0, count: mask.count)
            one[first] = mask[first] & (0 &- mask[first])
            guard (try? Processes.setAffinity(one)) != nil else { return 2 }
            guard (try? Processes.setPriority(5)) != nil else { return 3 }
            return Processes.availableProcessorCount() == 1 ? 0 : 4
        }
        #expect(try Processes.wait(for: child)?.way == .exited(0))
        #expect(try !Processes.hostname().isEmpty)
        #expect(Processes.environmentValue("PATH").map { Processes.environment.contains("PATH=\($0)") } == true)
    }
}

@Suite struct SignalTests {
    @Test("blocked signals are read with their sender, in a queue, and reset children die of them again")
    func queue() throws {
        let parent = Processes.currentID
        let (read, write) = try Pipes.make()
        let child = try inChild(keeping: [write]) {
            guard let queue = try? SignalQueue([SIGUSR1, SIGHUP, SIGCHLD]) else { return 1 }
            if (try? queue.next()) != nil { return 2 }
            _ = try? Files.write(write, [1][...])
            var entries = [PollEntry(queue.descriptor.number, .readable)]
            guard (try? Poll.wait(&entries, milliseconds: 5000)) == 1 else { return 3 }
            guard let signal = try? queue.next() else { return 4 }
            guard signal == Signal(number: SIGUSR1, sender: parent) else { return 5 }
            guard (try? Signals.reset()) != nil else { return 6 }
            _ = try? Processes.send(SIGUSR1, to: Processes.currentID)
            return 7
        }
        try Loopback.awaitReadable(read)
        try Processes.send(SIGUSR1, to: child)
        #expect(try Processes.wait(for: child)?.way == .signalled(SIGUSR1, dumpedCore: false))
        Descriptors.close(read)
        Descriptors.close(write)
    }
}

@Suite struct ClockAndChanceTests {
    @Test("clocks go forward, and a sleep is at least as long as asked")
    func clocks() {
        let start = monotonicNanoseconds()
        sleep(milliseconds: 20)
        #expect(monotonicNanoseconds() - start >= 20_000_000)
        #expect(monotonicMilliseconds() >= start / 1_000_000)
        #expect(wallMilliseconds() > 1_700_000_000_000)
        #expect(processorNanoseconds() > 0)
    }

    @Test("a moment's local parts and its offset give the moment again")
    func localTime() {
        let time = LocalTime(wallMilliseconds: 1_732_463_330_123)
        let minutes = time.day * 1440 + time.hour * 60 + time.minute - time.offsetMinutes
        #expect(minutes == 24 * 1440 + 15 * 60 + 48)
        #expect(time.second == 50 && time.year == 2024 && time.month == 11)
    }

    // Recipe: the reference implementation's first outputs for the seeds 0 and 1234567 (SplitMix64, Vigna 2015).
    @Test("a seed gives the reference's numbers")
    func seeded() {
        var zero = SeededRandom(seed: 0)
        #expect(zero.next() == 0xE220_A839_7B1D_CDAF)
        var other = SeededRandom(seed: 1_234_567)
        #expect(other.next() == 6_457_827_717_110_365_317)
        #expect(other.next() == 3_203_168_211_198_807_973)
        #expect(Chance.seed() != Chance.seed())
    }
}

@Suite struct NameTests {
    @Test("numbers and localhost have addresses, nonsense has a reason")
    func names() throws {
        #expect(try Names.addresses(of: "127.0.0.1") == [IPAddress(ipv4: 0x7F00_0001)])
        #expect(try Names.addresses(of: "::1") == [IPAddress(ipv6High: 0, low: 1)])
        let local = try Names.addresses(of: "localhost")
        #expect(local.contains(IPAddress(ipv4: 0x7F00_0001)) || local.contains(IPAddress(ipv6High: 0, low: 1)))
        #expect(Set(local).count == local.count)
        do throws(NameFault) {
            _ = try Names.addresses(of: "no such host")
            Issue.record("a name with blanks has no address")
        } catch {
            #expect(!error.text.isEmpty)
        }
    }
}
