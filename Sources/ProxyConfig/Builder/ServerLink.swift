// SPDX-License-Identifier: Apache-2.0
//
// What the phases after a server's own still need of its draft, which is given back by then.

import Vocabulary

struct ServerLink {
    var position: SourcePosition
    /// `ssl_*` and `proxy_ssl*` alone.
    var settings = Settings()
    /// What stands after `proxy_pass`.
    var proxyPass: Word? = nil
    /// `pass` to an address that is known.
    var pass: (endpoint: Endpoint, word: Word)? = nil
    var listensTLS = false
    /// Another server listens at one of its addresses, too.
    var isShared = false

    init(_ draft: ServerDraft) {
        position = draft.position
        settings.clientSide = draft.settings.clientSide
        settings.brokerSide = draft.settings.brokerSide
        if case .proxy(let word) = draft.content { proxyPass = word }
    }
}
