// SPDX-License-Identifier: Apache-2.0
//
// What master and child say to each other: small fixed messages over a SOCK_SEQPACKET pair, with a descriptor beside
// some of them (SCM_RIGHTS). One message is one packet, so there is no framing to get wrong.
//
// First start, respawn and reload are the same talk:
//
//   master                                            child (worker or prober)
//   prepare(generation)      + bundle memfd    →
//   log(generation, index)   + descriptor      →      for each of Configuration.logDestinations that has a descriptor
//   listener(generation, index) + descriptor   →      workers only, and only listeners that this child has not got yet
//   sessionCache(generation, index) + memfd    →      workers only: for each of Configuration.sharedSessionCaches
//   build(generation)                          →      builds in slices between its turns
//                                              ←      ready(generation)   or   refused(generation, text)
//   commit(generation)                         →      swaps, accepts at new listeners, lets go of removed ones
//                                              ←      committed(generation)
//   abort(generation)                          →      instead of commit: forget the prepared generation
//
// Otherwise:
//   reopen(generation, index) + descriptor     →      USR1: the log's new descriptor, for the committed generation
//   quit                                       →      graceful: take what is queued at the listeners, close them, let
//                                                     sessions end (worker_shutdown_timeout), then exit 0
//                                              ←      listenersClosed
//   stop                                       →      fast: close everything, flush logs, exit 0
//
// The admin process takes part in the talk as others do; its listeners are the addresses of `http {}`. Between it and
// each worker is one more pair, made by the master, over which it asks for sessions (SessionQuery). A new one comes at
// the start of either.
//   inquiry(index: worker's slot) + descriptor →      to the worker and to the admin process: one end each
//                                              ←      change(index: request, text)        MembershipChange
//   changed(index: request, text)              →      all workers have committed; the ids of the servers, with blanks
//   changeRefused(index: request, text)        →      AdminRefusal
//
// A child whose link reaches its end has lost its master: it logs an alert and does what `stop` says.

package struct LinkMessage: Sendable, Equatable {
    package enum Kind: UInt8, Sendable {
        case prepare = 1
        case log
        case listener
        case build
        case commit
        case abort
        case reopen
        case quit
        case stop
        case sessionCache
        case inquiry
        case changed
        case changeRefused
        case ready = 32
        case refused
        case committed
        case listenersClosed
        case change

        /// How many bytes of text the kind may have.
        var textBytesMax: Int {
            switch self {
            case .refused: LinkMessage.textBytesMax
            case .change, .changed, .changeRefused: LinkMessage.changeTextBytesMax
            case .prepare, .log, .listener, .build, .commit, .abort, .reopen, .quit, .stop, .sessionCache, .inquiry,
                .ready, .committed, .listenersClosed:
                0
            }
        }
    }
    package static let textBytesMax = 480
    /// Room for an upstream's name, a path of a unix socket and what else a change says.
    package static let changeTextBytesMax = 4096

    package var kind: Kind
    package var generation: UInt32
    /// Index into the generation's `logDestinations`, `listeners` or `sharedSessionCaches`, a worker's slot, or the
    /// number of a request; 0 where the kind has none.
    package var index: UInt32
    /// Cut at the bytes that the kind may have.
    package var text: String

    package init(_ kind: Kind, generation: UInt32 = 0, index: UInt32 = 0, text: String = "") {
        self.kind = kind
        self.generation = generation
        self.index = index
        self.text = text
    }
}
