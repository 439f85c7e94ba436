// SPDX-License-Identifier: Apache-2.0
//
// What the text said in `http`, before inheritance and before files are read. The words of a level are kept, so that
// what is found when levels are put together is shown where it stands.

import Vocabulary

/// What `http`, its servers and their locations say alike.
struct AdminLevel {
    /// Of these access rules, logs and `ssl_*` are used.
    var settings = Settings()
    /// `auth_basic`; nil where it is `off`.
    var realm: Word?? = nil
    var usersFile: Said<[UInt8]>? = nil
}

struct AdminLocationDraft {
    var position: SourcePosition
    var path: Word
    var isExact: Bool
    var level = AdminLevel()
    var content: AdminLocation.Content? = nil
    /// `write=on`.
    var write: Word? = nil
    /// A directive of the block was refused: what seems to be missing may be what was refused.
    var hasFault = false
}

struct AdminServerDraft {
    var position: SourcePosition
    var level = AdminLevel()
    var listens: [ListenDraft] = []
    var names: [Word] = []
    var locations: [AdminLocationDraft] = []
    /// By path, with `=` in front of exact ones.
    var placeOfLocation: [[UInt8]: SourcePosition] = [:]
    var hasFault = false
}

struct AdminDraft {
    /// Of the block; nil where there is none.
    var position: SourcePosition? = nil
    var level = AdminLevel()
    var servers: [AdminServerDraft] = []
    /// Linked addresses, each with its server.
    var serverByEndpoint: [Endpoint: Int] = [:]

    /// The server being read.
    var server: AdminServerDraft {
        _read { yield servers[servers.count - 1] }
        _modify { yield &servers[servers.count - 1] }
    }

    /// The location being read.
    var location: AdminLocationDraft {
        _read { yield servers[servers.count - 1].locations[server.locations.count - 1] }
        _modify {
            let last = server.locations.count - 1
            yield &servers[servers.count - 1].locations[last]
        }
    }

    /// The level that a directive of this context writes to.
    subscript(context: Contexts) -> AdminLevel {
        _read {
            switch context {
            case .location: yield location.level
            case .httpServer: yield server.level
            default: yield level
            }
        }
        _modify {
            switch context {
            case .location: yield &location.level
            case .httpServer: yield &server.level
            default: yield &level
            }
        }
    }

    mutating func markFault(in context: Contexts) {
        if context == .location { location.hasFault = true } else { server.hasFault = true }
    }
}
