// SPDX-License-Identifier: Apache-2.0
//
// `allow` and `deny`: who is let in, for stream's servers and http's locations alike.

import Vocabulary

extension [Server.AccessRule] {
    /// The first rule that covers the address decides; without one it is allowed. Nil is a unix socket's client.
    package func allow(_ client: IPAddress?) -> Bool {
        for rule in self {
            switch (rule.source, client) {
            case (.all, _), (.unix, nil):
                return rule.isAllowed
            case (.network(let network, let prefixLength), .some(let address)):
                if address.isIn(network, prefixLength: prefixLength) { return rule.isAllowed }
            case (.unix, .some), (.network, nil):
                break
            }
        }
        return true
    }
}
