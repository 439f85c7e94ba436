// SPDX-License-Identifier: Apache-2.0
//
// What all workers share, as a context needs it: C functions over a region that whoever maps it keeps mapped for as
// long as a connection lives. SharedState has the memory; this module knows only how to ask.

import CTLS

/// The automatic ticket keys: 80 bytes each, name (16), HMAC key (32), AES key (32). Functions return 1, or 0 for none.
@safe package struct TicketKeySource {
    let source: ctls_ticket_source

    package init(
        region: UnsafeRawPointer,
        current: @escaping @convention(c) (UnsafeRawPointer?, UnsafeMutablePointer<UInt8>?) -> Int32,
        find:
            @escaping @convention(c) (
                UnsafeRawPointer?, UnsafePointer<UInt8>?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<Int32>?
            ) -> Int32
    ) {
        unsafe source = unsafe ctls_ticket_source(region: region, current: current, find: find)
    }
}

/// Sessions by id. `put` returns 0 or -1, `get` the length of what it copied, or 0.
@safe package struct SessionCacheHandle {
    let cache: ctls_session_cache

    package init(
        cache: UnsafeMutableRawPointer,
        put:
            @escaping @convention(c) (
                UnsafeMutableRawPointer?, UnsafePointer<UInt8>?, Int, UnsafePointer<UInt8>?, Int, UInt64
            ) -> Int32,
        get:
            @escaping @convention(c) (
                UnsafeMutableRawPointer?, UnsafePointer<UInt8>?, Int, UnsafeMutablePointer<UInt8>?, Int, UInt64
            ) -> Int32,
        remove: @escaping @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<UInt8>?, Int) -> Void
    ) {
        unsafe self.cache = unsafe ctls_session_cache(cache: cache, put: put, get: get, remove: remove)
    }
}

/// OCSP responses to staple, by the keys of `TLSServerSettings.stapleKey`. `get` returns the length of what it copied,
/// or 0.
@safe package struct StapleSource {
    let source: ctls_staple_source

    package init(
        region: UnsafeRawPointer,
        get:
            @escaping @convention(c) (
                UnsafeRawPointer?, UnsafePointer<UInt8>?, UnsafeMutablePointer<UInt8>?, Int, UInt64
            ) -> Int32
    ) {
        unsafe source = unsafe ctls_staple_source(region: region, get: get)
    }
}
