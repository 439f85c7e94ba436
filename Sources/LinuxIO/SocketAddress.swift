// SPDX-License-Identifier: Apache-2.0
//
// Addresses in the kernel's form. A value holds any family in place, so that making one and reading one allocate
// nothing for IP.

import Glibc
import Vocabulary

/// A `sockaddr_storage` and its length. The storage stands first: a pointer to the value is a pointer to the sockaddr.
@safe package struct SocketAddress: Sendable, BitwiseCopyable {
    private var storage = sockaddr_storage()
    private var length = socklen_t(MemoryLayout<sockaddr_storage>.size)

    /// An empty one with all its room, for calls that fill it in.
    package init() {}

    package init(_ endpoint: IPEndpoint) {
        let address = endpoint.address
        switch address.family {
        case .ipv4:
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = endpoint.port.bigEndian
            name.sin_addr.s_addr = address.ipv4Bits.bigEndian
            unsafe withUnsafeMutableBytes(of: &storage) { unsafe $0.storeBytes(of: name, as: sockaddr_in.self) }
            length = socklen_t(MemoryLayout<sockaddr_in>.size)
        case .ipv6:
            var name = sockaddr_in6()
            name.sin6_family = sa_family_t(AF_INET6)
            name.sin6_port = endpoint.port.bigEndian
            unsafe withUnsafeMutableBytes(of: &name.sin6_addr) { bytes in
                unsafe bytes.storeBytes(of: address.high.bigEndian, as: UInt64.self)
                unsafe bytes.storeBytes(of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            unsafe withUnsafeMutableBytes(of: &storage) { unsafe $0.storeBytes(of: name, as: sockaddr_in6.self) }
            length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        }
    }

    /// Paths longer than sun_path (107 bytes) are `nameTooLong`.
    package init(_ endpoint: Endpoint) throws(Errno) {
        switch endpoint {
        case .ip(let address):
            self.init(address)
        case .unix(let path):
            let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)!
            let capacity = MemoryLayout<sockaddr_un>.size - offset
            guard path.utf8.count < capacity else { throw Errno.nameTooLong }
            self.init()
            storage.ss_family = sa_family_t(AF_UNIX)
            unsafe withUnsafeMutableBytes(of: &storage) { bytes in
                for (index, byte) in path.utf8.enumerated() { unsafe bytes[offset + index] = byte }
            }
            length = socklen_t(offset + path.utf8.count + 1)
        }
    }

    package var family: Int32 { Int32(storage.ss_family) }

    /// Nil for a unix socket and for an empty value.
    package var endpoint: IPEndpoint? {
        switch family {
        case AF_INET:
            let name = unsafe withUnsafeBytes(of: storage) { unsafe $0.load(as: sockaddr_in.self) }
            return IPEndpoint(
                address: IPAddress(ipv4: UInt32(bigEndian: name.sin_addr.s_addr)),
                port: UInt16(bigEndian: name.sin_port))
        case AF_INET6:
            let name = unsafe withUnsafeBytes(of: storage) { unsafe $0.load(as: sockaddr_in6.self) }
            let (high, low) = unsafe withUnsafeBytes(of: name.sin6_addr) { bytes in
                unsafe (bytes.loadUnaligned(as: UInt64.self), bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            }
            return IPEndpoint(
                address: IPAddress(ipv6High: UInt64(bigEndian: high), low: UInt64(bigEndian: low)),
                port: UInt16(bigEndian: name.sin6_port))
        default:
            return nil
        }
    }

    /// Lends the address to a call.
    package func withPointer<Value>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Value) -> Value {
        unsafe withUnsafeBytes(of: storage) { bytes in
            unsafe body(bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), length)
        }
    }

    /// Lends room for a call that fills in an address and its length.
    package mutating func withRoom<Value>(
        _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Value
    ) -> Value {
        length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return unsafe withUnsafeMutablePointer(to: &storage) { storage in
            unsafe withUnsafeMutablePointer(to: &length) { length in
                unsafe body(UnsafeMutableRawPointer(storage).assumingMemoryBound(to: sockaddr.self), length)
            }
        }
    }

    /// The sockaddr of a value that stands still in a slot, for operations the kernel reads later; `byteCount` beside
    /// it.
    @unsafe package static func name(at place: UnsafePointer<SocketAddress>) -> UnsafePointer<sockaddr> {
        unsafe UnsafeRawPointer(place).assumingMemoryBound(to: sockaddr.self)
    }

    package var byteCount: UInt32 { length }
}
