// SPDX-License-Identifier: Apache-2.0
//
// Files, paths, memory files and descriptors.

import Glibc
import LinuxIO
import Testing

@Suite struct FileTests {
    @Test("a file reads back as written, within its bound")
    func readWrite() throws {
        try withTemporaryDirectory { folder in
            let path = "\(folder)/file"
            let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0) }
            try Files.write(path, bytes)
            #expect(try Files.read(path) == bytes)
            #expect(try Files.read(path, bytesMax: 200_000) == bytes)
            #expect(throws: Errno.fileTooLarge) { try Files.read(path, bytesMax: 199_999) }
            try Files.write(path, [1])
            #expect(try Files.read(path) == [1])
        }
    }

    @Test("what is no file is refused with the system's words, and a FIFO does not stop the reader")
    func noFile() throws {
        try withTemporaryDirectory { folder throws in
            #expect(throws: Errno.isDirectory) { try Files.read(folder) }
            #expect(throws: Errno.notFound) { try Files.read("\(folder)/none") }
            #expect(throws: Errno.notDirectory) { try Files.read("/dev/null/none") }
            #expect(throws: Errno.fileTooLarge) { try Files.read("/dev/zero", bytesMax: 100_000) }
            #expect(unsafe mkfifo("\(folder)/fifo", 0o600) == 0)
            #expect(try Files.read("\(folder)/fifo").isEmpty)
            #expect(Errno.isDirectory.text == "Is a directory")
            #expect(Errno.addressInUse.numberedText == "98: Address already in use")
        }
    }

    @Test("a log opened for appending keeps what is there, and goes on after a rename")
    func append() throws {
        try withTemporaryDirectory { folder in
            let path = "\(folder)/log"
            try Files.write(path, Array("1\n".utf8))
            let log = try Files.openAppend(path)
            try Files.writeAll(log.number, Array("2\n".utf8))
            try Files.rename(path, to: path + ".old")
            try Files.writeAll(log.number, Array("3\n".utf8))
            #expect(try Files.read(path + ".old") == Array("1\n2\n3\n".utf8))
            #expect(!Files.exists(path))
        }
    }

    @Test("a mask names its files sorted, a plain path is itself, and no match is no error")
    func expand() throws {
        try withTemporaryDirectory { folder in
            for name in ["b.conf", "a.conf", "c.txt", ".hidden.conf"] { try Files.write("\(folder)/\(name)", []) }
            #expect(try Files.expand("\(folder)/*.conf") == ["\(folder)/a.conf", "\(folder)/b.conf"])
            #expect(try Files.expand("\(folder)/[c]*") == ["\(folder)/c.txt"])
            #expect(try Files.expand("\(folder)/*.none").isEmpty)
            #expect(try Files.names(in: folder) == [".hidden.conf", "a.conf", "b.conf", "c.txt"])
            #expect(Files.isDirectory(folder) && !Files.isDirectory("\(folder)/c.txt"))
        }
    }

    @Test("relative paths go below the folder, absolute ones stay")
    func absolute() throws {
        #expect(Files.absolute("conf/a", below: "/usr/local/weir/") == "/usr/local/weir/conf/a")
        #expect(Files.absolute("conf/a", below: "/usr/local/weir") == "/usr/local/weir/conf/a")
        #expect(Files.absolute("/etc/a", below: "/usr/local/weir") == "/etc/a")
        #expect(try Files.resolve("/proc/../tmp/.") == Files.resolve("/tmp"))
    }

    @Test("a released descriptor stays open, a dropped one does not")
    func descriptors() throws {
        let number = try Files.openRead("/dev/null").release()
        #expect(fcntl(number, F_GETFD) == FD_CLOEXEC)
        do {
            let owner = Descriptor(number)
            let copy = try owner.duplicate()
            try owner.close()
            #expect(fcntl(copy.number, F_GETFD) == FD_CLOEXEC)
        }
        #expect(throws: Errno.badDescriptor) { _ = try Descriptors.readableBytes(9999) }
    }
}

@Suite struct MemoryTests {
    @Test("a sealed file reads back whole, wherever its offset stands, and nobody can change it")
    func sealed() throws {
        let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 >> 2) }
        let file = try Memory.makeSealed(name: "test", bytes)
        #expect(try Memory.readSealed(file.number, bytesMax: 100_000) == bytes)
        #expect(try Memory.readSealed(file.number, bytesMax: 100_000) == bytes)
        #expect(throws: Errno.notPermitted) { try Files.writeAll(file.number, [1]) }
        #expect(ftruncate(file.number, 0) == -1)
        #expect(throws: Errno.fileTooLarge) { try Memory.readSealed(file.number, bytesMax: 99_999) }
        #expect(throws: Errno.notPermitted) {
            _ = unsafe try Memory.map(file.number, byteCount: 4096, isWritable: true)
        }
        let empty = try Memory.makeSealed(name: "empty", [])
        #expect(try Memory.readSealed(empty.number, bytesMax: 0).isEmpty)
    }

    @Test("a file that could still change is not read")
    func unsealed() throws {
        let file = try Memory.makeShared(name: "test", byteCount: 4096)
        #expect(throws: Errno.invalid) { try Memory.readSealed(file.number, bytesMax: 4096) }
        let null = try Files.openRead("/dev/null")
        #expect(throws: Errno.invalid) { try Memory.readSealed(null.number, bytesMax: 4096) }
    }

    @Test("a child's store shows in the parent, and the size is fixed")
    func shared() throws {
        let file = try Memory.makeShared(name: "test", byteCount: 4096)
        let base = unsafe try Memory.map(file.number, byteCount: 4096, isWritable: true)
        let child = try inChild {
            unsafe base.storeBytes(of: 42, as: UInt32.self)
            return 0
        }
        _ = try Processes.wait(for: child)
        #expect(unsafe base.load(as: UInt32.self) == 42)
        #expect(ftruncate(file.number, 0) == -1)
        unsafe Memory.unmap(base, byteCount: 4096)
    }
}
