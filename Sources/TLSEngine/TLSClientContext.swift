// SPDX-License-Identifier: Apache-2.0
//
// What a server block, or a health check, speaks TLS to brokers with. The names of a broker belong to the connection:
// one context serves a whole group.

import CTLS
import ProxyConfig

@safe package final class TLSClientContext {
    package let settings: TLSClientSettings
    let handle: ContextHandle

    package init(_ settings: TLSClientSettings) throws(TLSFault) {
        self.settings = settings
        handle = try ContextHandle(isServer: false, protocols: settings.common.protocols)
        let common = settings.common
        try common.addCiphers(to: handle)
        try common.addCertificates(to: handle)
        if settings.verifies {
            unsafe ctls_context_verify_server(handle.pointer, Int32(clamping: common.verifyDepth))
            try common.addTrust(to: handle)
        }
        if settings.reusesSessions { unsafe ctls_context_reuse_sessions(handle.pointer) }
        try common.addProtocols(to: handle)
        if common.keyLog != nil { unsafe ctls_context_log_keys(handle.pointer) }
        try common.addCommands(to: handle)
    }
}

/// The latest session of each broker, as many as were used last. Sessions of one context never serve another: what a
/// context trusts is decided when a session is made.
@safe package final class TLSSessionStore {
    let handle: OpaquePointer

    package init?(capacity: Int) {
        guard let handle = unsafe ctls_store_new(max(0, capacity)) else { return nil }
        unsafe self.handle = unsafe handle
    }

    deinit { unsafe ctls_store_free(handle) }

    package var count: Int { unsafe ctls_store_count(handle) }
}
