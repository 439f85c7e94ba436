// SPDX-License-Identifier: Apache-2.0
//
// Reading: statements out of files, into the handlers of the directive table. One call of `readSlice` reads one block
// of the stream level, or a bounded number of statements, whichever comes first.
//
//   statement ; → dispatch → the directive's `apply`
//   statement { → dispatch → `apply`, then a block is open
//   }           → closeBlock
//   end of file → closeFile, which gives back whatever block the file left open
//   include     → openIncluded (Assembler+Files): the file's frame goes on top, and reading goes on there

extension Assembler {
    /// Statements a slice: 64 take well under a millisecond.
    private static let sliceStatements = 64

    /// False when there is nothing left to read.
    mutating func readSlice(_ source: inout some ConfigurationSource) -> Bool {
        for _ in 0..<Assembler.sliceStatements {
            guard !frames.isEmpty else { return false }
            let depth = blocks.count
            readStatement()
            if let file = pendingFile {
                pendingFile = nil
                switch file {
                case .include(let name): openIncluded(name, &source)
                case .state(let name): openState(name, &source)
                case .servers(let bytes): openServers(bytes)
                }
                return true
            }
            // A block of the stream level ended: enough for one slice.
            if blocks.count < depth, context == .stream || context == .http { return true }
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
        if isInStateFile, !statement.name.equals("server") || opensBlock {
            error(
                "\"\(shown(statement.name.bytes))\" does not stand in a state file", at: statement.name,
                hint: "it has the servers of its upstream and nothing else: server 192.0.2.1:1883;")
            if opensBlock { skipBlock(named: statement.name.text, at: statement.name.position) }
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
        let name = context == .httpServer ? "server of http" : statement.name.text
        blocks.append(OpenBlock(kind: .known(context), name: name, position: statement.name.position))
    }

    private mutating func refuseUnknown(_ name: Word) {
        let text = shown(name.bytes)
        if context.isSubset(of: .adminLevels) {
            refuseInHTTP(name)
            return
        }
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
        if context.isSubset(of: .adminLevels), contexts.isDisjoint(with: .adminLevels) {
            refuseInHTTP(name)
            return
        }
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
        if context == .upstream { checkUpstreamEnd() }
        blocks.removeLast()
    }

    private mutating func checkUpstreamEnd() {
        if let state = upstream.state {
            guard upstream.zone == nil else { return }
            error(
                "no \"zone\" in upstream \"\(shown(upstream.name.bytes))\" for \"state\"", at: state.word,
                hint: "what changes at run time is in shared memory; name it: zone \(shown(upstream.name.bytes));")
        } else if upstream.servers.isEmpty, !upstream.hasFault {
            error(
                "no servers are inside upstream", at: upstream.name,
                hint: "write at least one: server 192.0.2.1:1883;")
        }
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
}
