// SPDX-License-Identifier: Apache-2.0
//
// What the phases after a server's own still need of its draft, which is given back by then.

import Vocabulary

struct ServerLink {
    var position: SourcePosition
    private let clientSide: [TLSServerDraft]
    private let brokerSide: [TLSClientDraft]
    /// What stands after `proxy_pass`.
    var proxyPass: Word? = nil
    /// `pass` to an address that is known.
    var pass: (endpoint: Endpoint, word: Word)? = nil
    var listensTLS = false
    /// Another server listens at one of its addresses, too.
    var isShared = false

    init(_ draft: ServerDraft) {
        position = draft.position
        clientSide = draft.settings.clientSide
        brokerSide = draft.settings.brokerSide
        if case .proxy(let word) = draft.content { proxyPass = word }
    }

    /// `ssl_*` of the block.
    var client: TLSServerDraft { clientSide.first ?? TLSServerDraft() }
    /// `proxy_ssl*` of the block.
    var broker: TLSClientDraft { brokerSide.first ?? TLSClientDraft() }
    var inheritsClient: Bool { clientSide.isEmpty }
}
