// SPDX-License-Identifier: Apache-2.0
//
// The state of one build: where the text is read, which blocks are open, what has been said so far, what was found
// wrong. Reading (Assembler+Reading) fills the drafts; linking (Assembler+Linking…) makes the configuration of them
// when all of the text is known. Not generic: only what asks the outside takes a source.

import Patterns
import Vocabulary

struct Assembler {
    /// A file or the command line, being read.
    struct Frame {
        var tokenizer: Tokenizer
        var file: Int
        /// Number of includes it is below the configuration file.
        var depth: Int
        /// Open blocks when the file began: it must close what it opens, and nothing else.
        var blockDepth: Int
        /// A `state` file: it has `server` directives and nothing else.
        var isState = false
    }

    /// A file to be read where a directive names it.
    enum PendingFile {
        case include(Word)
        case state(Word)
        /// The servers that the upstream being read has instead of its own.
        case servers([UInt8])
    }

    struct OpenBlock {
        enum Kind {
            case known(Contexts)
            /// An unknown or refused block: read over, with the blocks inside it counted.
            case skipped(depth: Int)
        }
        var kind: Kind
        var name: String
        var position: SourcePosition?
        /// The directives of this block so far, by index in the table.
        var seen: [(directive: Int, position: SourcePosition)] = []

        var context: Contexts {
            switch kind {
            case .known(let context): context
            case .skipped: []
            }
        }
    }

    struct File {
        /// Empty for the command line.
        var path: String
        var bytes: [UInt8]
    }

    enum Phase {
        case reading
        case destinations
        case maps
        case mapCircles
        case formats
        case upstreams
        case servers
        case listeners
        case tls
        case admin
        case done
    }

    let options: ConfigurationOptions
    var phase = Phase.reading
    var report = DiagnosticReport()

    // Reading
    var files: [File] = []
    var fileIndex: [String: Int] = [:]
    var includeCount = 0
    var bytesRead = 0
    var frames: [Frame] = []
    var blocks = [OpenBlock(kind: .known(.main), name: "main", position: nil)]
    var words: [Word] = []
    /// Set by `include` and `state`, taken by the reading loop, which has the source.
    var pendingFile: PendingFile? = nil

    // Said so far
    var main = MainSettings()
    var streamSettings = Settings()
    var serverDrafts: [ServerDraft] = []
    var upstreamDrafts: [UpstreamDraft] = []
    var upstreamByName: [[UInt8]: Int] = [:]
    /// The upstream that a `state` file belongs to, by the file's path.
    var upstreamByStateFile: [[UInt8]: String] = [:]
    var mapDrafts: [MapDraft] = []
    var mapByVariable: [[UInt8]: Int] = [:]
    var formatDrafts: [FormatDraft] = []
    var formatByName: [[UInt8]: Int] = [:]
    var matches: [HealthMatch] = []
    var matchByName: [[UInt8]: Int] = [:]
    var assignedVariables: [String] = []
    var assignedByName: [[UInt8]: Int] = [:]
    var destinationDrafts: [LogDestinationDraft] = []
    var destinationByKey: [[UInt8]: Int] = [:]
    var sharedCaches: [[UInt8]: SharedCache] = [:]
    /// Expressions of `server_name`, by their text.
    var namePatterns: [[UInt8]: Pattern] = [:]
    var admin = AdminDraft()

    // Linking
    var configuration = Configuration()
    var cursor = LinkCursor()
    var variables: [[UInt8]: VariableReference] = [:]
    var mapWalk = MapWalk()
    var implicitUpstreams: [[UInt8]: Int] = [:]
    var resolved: [String: Result<[IPAddress], SourceFault>] = [:]
    var listenerByEndpoint: [Endpoint: Int] = [:]
    var listenerUses: [ListenerUse] = []
    /// Beside `Configuration.servers`.
    var serverLinks: [ServerLink] = []
    /// Files that are no text, each asked for once.
    var secretBytes = 0
    var secrets: [String: Result<[UInt8], SourceFault>] = [:]
    var clientSettings: [DraftKey<TLSServerDraft>: Shared<TLSServerSettings>] = [:]
    /// Of the servers that say nothing of their own.
    var inheritedClientSettings: Shared<TLSServerSettings>? = nil
    var brokerSettings: [DraftKey<TLSClientDraft>: Shared<TLSClientSettings>] = [:]
    var linkFindings: Set<String> = []

    init(options: ConfigurationOptions) {
        self.options = options
        if !options.globalDirectives.isEmpty {
            let bytes = Array(options.globalDirectives.utf8)
            files.append(File(path: "", bytes: bytes))
            frames.append(Frame(tokenizer: Tokenizer(bytes: bytes, file: 0), file: 0, depth: 0, blockDepth: 1))
        }
    }

    /// The settings that a directive of this context writes to.
    var settings: Settings {
        _read {
            switch context {
            case .server: yield serverDrafts[serverDrafts.count - 1].settings
            case .http, .httpServer, .location: yield admin[context].settings
            default: yield streamSettings
            }
        }
        _modify {
            switch context {
            case .server: yield &serverDrafts[serverDrafts.count - 1].settings
            case .http, .httpServer, .location: yield &admin[context].settings
            default: yield &streamSettings
            }
        }
    }

    /// The `server` block being read.
    var server: ServerDraft {
        _read { yield serverDrafts[serverDrafts.count - 1] }
        _modify { yield &serverDrafts[serverDrafts.count - 1] }
    }

    /// The `upstream` block being read.
    var upstream: UpstreamDraft {
        _read { yield upstreamDrafts[upstreamDrafts.count - 1] }
        _modify { yield &upstreamDrafts[upstreamDrafts.count - 1] }
    }

    var context: Contexts { blocks[blocks.count - 1].context }

    var isInStateFile: Bool { frames.last?.isState == true }

    // MARK: - Findings

    mutating func error(_ message: String, at position: SourcePosition?, hint: String) {
        markFault()
        add(.emerg, message, position, hint)
    }

    mutating func error(_ message: String, at word: Word, hint: String) {
        error(message, at: word.position, hint: hint)
    }

    mutating func warn(_ message: String, at position: SourcePosition?, hint: String) {
        add(.warn, message, position, hint)
    }

    mutating func warn(_ message: String, at word: Word, hint: String) {
        warn(message, at: word.position, hint: hint)
    }

    /// `file:line`, for messages.
    func placeText(_ position: SourcePosition) -> String { "\(files[position.file].path):\(position.line)" }

    /// nginx's refusal of a word among parameters.
    mutating func invalidParameter(_ word: Word, hint: String) {
        error("invalid parameter \"\(shown(word.bytes))\"", at: word, hint: hint)
    }

    /// "did you mean": what is only counted is not searched for.
    func meant(_ word: [UInt8], among names: @autoclosure () -> [String]) -> String? {
        report.takesErrors ? Suggestion.nearest(to: word, in: names()) : nil
    }

    private mutating func markFault() {
        guard phase == .reading else { return }
        if context == .server { server.hasFault = true }
        if context == .upstream { upstream.hasFault = true }
        if context == .httpServer || context == .location { admin.markFault(in: context) }
    }

    private mutating func add(
        _ level: Diagnostic.Level, _ message: String, _ position: SourcePosition?, _ hint: String
    ) {
        // A word of `stream` is linked with every server that inherits it, and is one finding all the same.
        if phase != .reading, let position,
            !linkFindings.insert("\(position.file):\(position.offset) \(message)").inserted
        {
            return
        }
        var diagnostic = Diagnostic(level: level, message: message, hint: hint)
        // What is only counted needs no excerpt.
        if let position, level == .warn || report.takesErrors {
            let file = files[position.file]
            let excerpt = SourceExcerpt(of: file.bytes, at: position)
            diagnostic.file = file.path
            diagnostic.line = position.line
            diagnostic.column = position.column
            diagnostic.sourceLine = excerpt.text
            diagnostic.caretOffset = excerpt.caretOffset
            diagnostic.caretLength = excerpt.caretLength
        }
        report.add(diagnostic, at: position)
    }
}
