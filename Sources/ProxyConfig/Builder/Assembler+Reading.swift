// SPDX-License-Identifier: Apache-2.0
//
// Reading: statements out of files, into the handlers of the directive table. One call of `readSlice` reads one block
// of the stream level, or a bounded number of statements, whichever comes first.
//
//   statement ; → dispatch → the directive's `apply`
//   statement { → dispatch → `apply`, then a block is open
//   }           → closeBlock
//   end of file → closeFile, which gives back whatever block the file left open
//   include     → openIncluded: the file's frame goes on top, and reading goes on there

extension Assembler {
    /// Statements a slice: 64 take well under a millisecond.
    private static let sliceStatements = 64
    /// Depth of nested includes.
    private static let includeDepthMax = 64
    /// Includes of one configuration, and bytes of all of them, each as often as it is included.
    private static let includesMax = 20_000
    private static let bytesMax = 256 << 20

    /// Opens the configuration file itself, after `-g` has been read.
    mutating func openMainFile(_ source: inout some ConfigurationSource) {
        open(options.file, at: nil, depth: 0, &source)
    }

    /// False when there is nothing left to read.
    mutating func readSlice(_ source: inout some ConfigurationSource) -> Bool {
        for _ in 0..<Assembler.sliceStatements {
            guard !frames.isEmpty else { return false }
            let depth = blocks.count
            readStatement()
            if let include = pendingInclude {
                pendingInclude = nil
                openIncluded(include, &source)
                return true
            }
            // A block of the stream level ended: enough for one slice.
            if blocks.count < depth, context == .stream { return true }
        }
        return true
    }

    private mutating func readStatement() {
        var fault: TokenFault? = nil
        let end = frames[frames.count - 1].tokenizer.next(into: &words, fault: &fault)
        if case .skipped(let depth) = blocks[blocks.count - 1].kind {
            readSkipped(end, depth: depth, fault)
            return
        }
        if let fault { reportFault(fault) }
        switch end {
        case .endOfFile: closeFile(isReported: fault != nil)
        case .blockEnd: closeBlock()
        case .semicolon:
            guard fault == nil || fault?.kind == .missingSemicolon, !words.isEmpty else { return }
            dispatch(opensBlock: false)
        case .blockStart:
            guard fault == nil else {
                skipBlock(named: words.first?.text ?? "", at: words.first?.position ?? fault?.position)
                return
            }
            dispatch(opensBlock: true)
        }
    }

    /// Inside a block that was refused only its end matters.
    private mutating func readSkipped(_ end: StatementEnd, depth: Int, _ fault: TokenFault?) {
        switch end {
        case .semicolon: break
        case .blockStart: blocks[blocks.count - 1].kind = .skipped(depth: depth + 1)
        case .blockEnd:
            if depth > 1 { blocks[blocks.count - 1].kind = .skipped(depth: depth - 1) } else { blocks.removeLast() }
        case .endOfFile:
            if let fault { reportFault(fault) }
            closeFile(isReported: fault != nil)
        }
    }

    mutating func skipBlock(named name: String, at position: SourcePosition?) {
        blocks.append(OpenBlock(kind: .skipped(depth: 1), name: name, position: position))
    }

    // MARK: - Statements

    private mutating func dispatch(opensBlock: Bool) {
        let statement = Statement(words: words)
        if context == .map, !statement.name.equals("include") {
            if opensBlock {
                error(
                    "unexpected \"{\"", at: statement.name,
                    hint: "an entry of map is a key and a value, ended by \";\"; put a \"{\" between quotes")
                skipBlock(named: "map", at: statement.name.position)
            } else {
                readMapEntry(statement)
            }
            return
        }
        guard let candidates = DirectiveTable.byName[statement.name.bytes] else {
            refuseUnknown(statement.name)
            if opensBlock { skipBlock(named: statement.name.text, at: statement.name.position) }
            return
        }
        guard let index = candidates.first(where: { DirectiveTable.all[$0].contexts.contains(context) }) else {
            refuseHere(statement.name, candidates)
            if opensBlock { skipBlock(named: statement.name.text, at: statement.name.position) }
            return
        }
        let directive = DirectiveTable.all[index]
        guard checkShape(statement, directive, opensBlock: opensBlock), checkEnd(statement, directive),
            checkCount(statement, directive), checkRepetition(statement, directive, index)
        else {
            if opensBlock { skipBlock(named: directive.name, at: statement.name.position) }
            return
        }
        directive.apply(&self, statement)
    }

    /// Called by a block directive's `apply` when the block is accepted.
    mutating func openBlock(_ context: Contexts, _ statement: Statement) {
        blocks.append(
            OpenBlock(kind: .known(context), name: statement.name.text, position: statement.name.position))
    }

    private mutating func refuseUnknown(_ name: Word) {
        let text = shown(name.bytes)
        if let missing = DirectiveTable.missing(name) {
            error(missing.message(for: text), at: name, hint: missing.remedy)
            return
        }
        let near =
            meant(name.bytes, among: DirectiveTable.names(in: context))
            ?? meant(name.bytes, among: DirectiveTable.names.keys.sorted())
        let block = blocks[blocks.count - 1].name
        error(
            "unknown directive \"\(text)\"", at: name,
            hint: near.map { "did you mean \"\($0)\"?" }
                ?? "no directive of \(block) has a name like this; is a \";\" missing before it?"
        )
    }

    private mutating func refuseHere(_ name: Word, _ candidates: [Int]) {
        let contexts = candidates.reduce(into: Contexts()) { $0.formUnion(DirectiveTable.all[$1].contexts) }
        error(
            "\"\(name.text)\" directive is not allowed here", at: name,
            hint:
                "it stands in \(contexts.names.joined(separator: " or ")), and this is \(blocks[blocks.count - 1].name)"
        )
    }

    private mutating func checkShape(_ statement: Statement, _ directive: Directive, opensBlock: Bool) -> Bool {
        switch (directive.shape, opensBlock) {
        case (.simple, false), (.block, true): return true
        case (.simple, true):
            error(
                "directive \"\(directive.name)\" is not terminated by \";\"", at: statement.name,
                hint: "it has no block: end it with \";\"")
        case (.block, false):
            error(
                "directive \"\(directive.name)\" has no opening \"{\"", at: statement.name,
                hint: "write \(directive.name) … { … }")
        }
        return false
    }

    /// Of a directive that takes any number of words: did it run on into the next one?
    private mutating func checkEnd(_ statement: Statement, _ directive: Directive) -> Bool {
        guard directive.arguments.upperBound == Int.max, let last = lastBeforeDirective(statement) else { return true }
        error(
            "directive \"\(directive.name)\" is not terminated by \";\"", at: statement.name,
            hint: missingSemicolonHint(last))
        return false
    }

    /// The word before the first one that begins a line, has no quotes and names a directive that may stand here:
    /// nearly always it is the next directive, and a semicolon is missing.
    private func lastBeforeDirective(_ statement: Statement) -> Word? {
        let next = statement.words.indices.dropFirst().first { index in
            let word = statement.words[index]
            return word.position.line > statement.words[index - 1].position.line
                && word.position.length == word.bytes.count
                && DirectiveTable.byName[word.bytes]?.contains { DirectiveTable.all[$0].contexts.contains(context) }
                    == true
        }
        return next.map { statement.words[$0 - 1] }
    }

    private func missingSemicolonHint(_ last: Word) -> String {
        "a \";\" is missing after \"\(shown(last.bytes))\" in line \(last.position.line)"
    }

    private mutating func checkCount(_ statement: Statement, _ directive: Directive) -> Bool {
        let count = statement.arguments.count
        if directive.arguments.contains(count) { return true }
        let wanted: String
        switch (directive.arguments.lowerBound, directive.arguments.upperBound) {
        case (let low, Int.max): wanted = "at least \(low)"
        case (let low, let high): wanted = low == high ? "\(low)" : "\(low) to \(high)"
        }
        var hint =
            "it takes \(wanted == "0" ? "no" : wanted) argument\(wanted == "1" ? "" : "s"), and there are \(count)"
        if let last = lastBeforeDirective(statement) { hint = missingSemicolonHint(last) }
        error("invalid number of arguments in \"\(directive.name)\" directive", at: statement.name, hint: hint)
        return false
    }

    private mutating func checkRepetition(_ statement: Statement, _ directive: Directive, _ index: Int) -> Bool {
        if directive.isRepeatable { return true }
        let block = blocks.count - 1
        if let first = blocks[block].seen.first(where: { $0.directive == index }) {
            let place = files[first.position.file].path
            error(
                "\"\(directive.name)\" directive is duplicate", at: statement.name,
                hint: place.isEmpty
                    ? "it is in -g already; take one of them out"
                    : "the first one is in \(place):\(first.position.line); take one of them out")
            return false
        }
        blocks[block].seen.append((index, statement.name.position))
        return true
    }

    // MARK: - Ends

    private mutating func closeBlock() {
        let frame = frames[frames.count - 1]
        guard blocks.count > frame.blockDepth else {
            var position = frame.tokenizer.position
            position.offset -= 1
            position.column -= 1
            error(
                "unexpected \"}\"", at: position,
                hint: "no block is open here; take it out, or look for one too many above")
            return
        }
        if context == .upstream, upstream.servers.isEmpty, !upstream.hasFault {
            error(
                "no servers are inside upstream", at: upstream.name,
                hint: "write at least one: server 192.0.2.1:1883;")
        }
        blocks.removeLast()
    }

    private mutating func closeFile(isReported: Bool) {
        let frame = frames.removeLast()
        if blocks.count > frame.blockDepth {
            let open = blocks[blocks.count - 1]
            if !isReported {
                error(
                    "unexpected end of file, expecting \"}\"", at: frame.tokenizer.position,
                    hint:
                        "block \"\(shown(Array(open.name.utf8)))\" opened in line "
                        + "\(open.position?.line ?? 0) is not closed"
                )
            }
            blocks.removeSubrange(frame.blockDepth...)
        }
    }

    private mutating func reportFault(_ fault: TokenFault) {
        let isCommandLine = files[fault.position.file].path.isEmpty
        let expecting =
            isCommandLine
            ? "unexpected end of parameter, expecting \";\"" : "unexpected end of file, expecting \";\" or \"}\""
        switch fault.kind {
        case .unexpected(let character):
            let hint =
                switch character {
                case UInt8(ascii: ";"): "no directive stands before it; take it out"
                case UInt8(ascii: "{"): "the name of the block is missing before it"
                default: "put a space after the closing quote, or the whole word between quotes"
                }
            error("unexpected \"\(visible([character]))\"", at: fault.position, hint: hint)
        case .missingSemicolon:
            error("unexpected \"}\"", at: fault.position, hint: semicolonHint)
        case .endOfFile: error(expecting, at: fault.position, hint: semicolonHint)
        case .openQuote(let quote):
            error(expecting, at: fault.position, hint: "the quote \(visible([quote])) that opens here is never closed")
        case .nul:
            error(
                "unexpected NUL byte", at: fault.position,
                hint: "write \\x00 in send and expect; anywhere else take it out")
        case .tooLong:
            error(
                "too long parameter", at: fault.position,
                hint: "a word takes \(Tokenizer.wordBytesMax) bytes at most; is a quote or a \";\" missing?")
        }
    }

    private var semicolonHint: String {
        guard let last = words.last else { return "end the statement with \";\"" }
        return missingSemicolonHint(last)
    }

    // MARK: - Files

    private mutating func openIncluded(_ name: Word, _ source: inout some ConfigurationSource) {
        let path = options.pathBesideFile(name.text)
        let reader = frames.count - 1
        let isMask = name.bytes.contains { "*?[".utf8.contains($0) }
        guard isMask else {
            include(path, at: name, reader: reader, &source)
            return
        }
        switch source.expand(path) {
        case .success(let paths):
            // Frames are a stack: the last one opened is read first.
            for path in paths.reversed() where !frames.isEmpty { include(path, at: name, reader: reader, &source) }
        case .failure(let fault):
            error(
                "glob() \"\(shown(Array(path.utf8)))\" failed (\(fault.code): \(fault.reason))", at: name,
                hint: "check the mask and the rights of its directory")
        }
    }

    /// `reader` is the frame that `name` stands in; above it are other files of the same mask.
    private mutating func include(
        _ path: String, at name: Word, reader: Int, _ source: inout some ConfigurationSource
    ) {
        includeCount += 1
        let text = shown(Array(path.utf8))
        guard !isOpen(path, from: reader) else {
            error(
                "include of \"\(text)\" loops", at: name,
                hint: "the file includes itself, directly or by another one; take this line out")
            return
        }
        guard frames[reader].depth < Assembler.includeDepthMax else {
            error(
                "too deep include of \"\(text)\"", at: name, hint: "\(Assembler.includeDepthMax) levels are the limit")
            return
        }
        guard includeCount <= Assembler.includesMax, bytesRead <= Assembler.bytesMax else {
            error(
                "too many includes", at: name,
                hint: "\(Assembler.includesMax) files and \(Assembler.bytesMax >> 20) MB are the limit; "
                    + "do files include each other again and again?")
            // Each further one would say the same.
            frames.removeAll()
            blocks.removeSubrange(1...)
            return
        }
        open(path, at: name, depth: frames[reader].depth + 1, &source)
    }

    private mutating func open(
        _ path: String, at name: Word?, depth: Int, _ source: inout some ConfigurationSource
    ) {
        guard let file = load(path, at: name, &source) else { return }
        bytesRead += files[file].bytes.count
        frames.append(
            Frame(
                tokenizer: Tokenizer(bytes: files[file].bytes, file: file), file: file, depth: depth,
                blockDepth: blocks.count))
    }

    /// True when `path` is being read by the frame `reader` or by one that included it.
    private func isOpen(_ path: String, from reader: Int) -> Bool {
        var depth = frames[reader].depth + 1
        for frame in frames[...reader].reversed() where frame.depth < depth {
            if files[frame.file].path == path { return true }
            depth = frame.depth
        }
        return false
    }

    /// The index of a file's bytes; each file is asked for once.
    private mutating func load(_ path: String, at name: Word?, _ source: inout some ConfigurationSource) -> Int? {
        if let known = fileIndex[path] { return known }
        switch source.file(path) {
        case .success(let bytes):
            files.append(File(path: path, bytes: bytes))
            fileIndex[path] = files.count - 1
            return files.count - 1
        case .failure(let fault):
            error(
                "open() \"\(shown(Array(path.utf8)))\" failed (\(fault.code): \(fault.reason))", at: name?.position,
                hint:
                    "check the path\(name == nil ? " after -c" : "; it is relative to the directory of the main file")")
            return nil
        }
    }
}
