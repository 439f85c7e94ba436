// SPDX-License-Identifier: Apache-2.0
//
// A change of an upstream's servers while Weir runs, as the admin process asks for it and the master does it; and why
// it is not done. Both travel as the text of a LinkMessage (`MembershipChange+Text`).

import ProxyConfig
import Vocabulary

/// One change of one server.
package struct MembershipChange: Sendable, Equatable {
    package enum Operation: Sendable, Equatable {
        /// A new server at the end of the group: an address as the `server` directive takes it.
        case add(server: String)
        /// `id` is the number of a peer's slot in the shared region. Where a server's name has several addresses, each
        /// is a peer, and the change is made to the server, that is to all of them.
        case set(id: Int)
        case remove(id: Int)
    }

    /// The name of an `upstream` block.
    package var upstream: String
    package var operation: Operation
    /// What `add` and `set` say of the server; nil leaves what it is.
    package var parameters: ServerParameters
    /// For the log: a user, an address.
    package var requester: String
    /// Where the server's new address is a host name.
    package var name: ResolvedName? = nil

    package init(
        _ operation: Operation, upstream: String, parameters: ServerParameters = ServerParameters(), requester: String
    ) {
        self.upstream = upstream
        self.operation = operation
        self.parameters = parameters
        self.requester = requester
    }

    /// The host name that has to be resolved for this change; nil: there is none.
    package var hostName: String? {
        let server: String? =
            switch operation {
            case .add(let server): server
            case .set: parameters.server
            case .remove: nil
            }
        return server.flatMap { ServerListing.Line(server: $0).hostName }
    }
}

/// What came of a host name. The admin process asks the resolver before it asks for the change: a resolver takes its
/// time, and the master, which serves meanwhile, has none to give.
package struct ResolvedName: Sendable, Equatable {
    package var host: String
    package var answer: Result<[IPAddress], SourceFault>

    package init(host: String, answer: Result<[IPAddress], SourceFault>) {
        self.host = host
        self.answer = answer
    }
}

/// The parameters of a `server` directive. What they may be is the configuration's word: they are checked by building
/// one. Times are as the configuration writes them.
package struct ServerParameters: Sendable, Equatable {
    /// `set` only: the server's new address.
    package var server: String? = nil
    package var weight: Int? = nil
    package var maxConnections: Int? = nil
    package var maxFails: Int? = nil
    package var failTimeout: String? = nil
    package var slowStart: String? = nil
    /// `add` only: nginx does not change it.
    package var isBackup: Bool? = nil
    package var isDown: Bool? = nil
    /// Keeps its sessions, gets no new ones.
    package var isDraining: Bool? = nil

    package init() {}

    /// In service again after `down` and `drain`.
    package static var up: ServerParameters {
        var parameters = ServerParameters()
        parameters.isDown = false
        parameters.isDraining = false
        return parameters
    }
}

/// Why something is not done.
package struct AdminRefusal: Error, Sendable, Equatable {
    /// nginx's codes where it has one for the case.
    package enum Code: String, Sendable, CaseIterable {
        case upstreamNotFound = "UpstreamNotFound"
        /// The upstream has no `zone`.
        case upstreamStatic = "UpstreamStatic"
        case serverNotFound = "UpstreamServerNotFound"
        /// `backup` of a server that is there already.
        case serverImmutable = "UpstreamServerImmutable"
        case badAddress = "UpstreamBadAddress"
        case badWeight = "UpstreamBadWeight"
        /// Whatever else a configuration with the change is refused for.
        case format = "UpstreamConfFormatError"
        case entryExists = "EntryExists"
        /// Too many changes wait already, or Weir is going down; later it may do.
        case busy = "UpstreamBusy"
        /// A process does not prepare the change, the state file cannot be written, a worker does not answer.
        case failed = "UpstreamChangeFailed"
        /// The master or a worker is gone, or does not answer in time.
        case unreachable = "Unreachable"
    }

    package var code: Code
    /// For people.
    package var text: String

    package init(_ code: Code, _ text: String) {
        self.code = code
        self.text = text
    }
}
