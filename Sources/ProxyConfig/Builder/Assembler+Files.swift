// SPDX-License-Identifier: Apache-2.0
//
// Files of a configuration: the main one, what `include` names, and `state` files. Each is read once and becomes a
// frame on top of the one that names it. Depth, number and bytes are bounded, and a file that includes itself is found.

extension Assembler {
    /// Depth of nested includes.
    private static let includeDepthMax = 64
    /// Includes of one configuration, and bytes of all of them, each as often as it is included.
    private static let includesMax = 20_000
    private static let bytesMax = 256 << 20
    /// ENOENT.
    private static let noSuchFile: Int32 = 2

    /// Opens the configuration file itself, after `-g` has been read.
    mutating func openMainFile(_ source: inout some ConfigurationSource) {
        open(options.file, at: nil, depth: 0, &source)
    }

    mutating func openIncluded(_ name: Word, _ source: inout some ConfigurationSource) {
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

    /// A state file that does not exist yet has no servers: whoever changes the group makes it.
    mutating func openState(_ name: Word, _ source: inout some ConfigurationSource) {
        let path = options.pathBelowPrefix(name.text)
        open(path, at: name, depth: frames[frames.count - 1].depth + 1, isState: true, &source)
    }

    /// As a state file, only that the text is in the bundle and in no file.
    mutating func openServers(_ bytes: [UInt8]) {
        files.append(File(path: Bundle.nameOfServers(of: upstream.name.text), bytes: bytes))
        frames.append(
            Frame(
                tokenizer: Tokenizer(bytes: bytes, file: files.count - 1), file: files.count - 1,
                depth: frames[frames.count - 1].depth + 1, blockDepth: blocks.count, isState: true))
    }

    private mutating func open(
        _ path: String, at name: Word?, depth: Int, isState: Bool = false, _ source: inout some ConfigurationSource
    ) {
        guard let file = load(path, at: name, mayBeMissing: isState, &source) else { return }
        bytesRead += files[file].bytes.count
        frames.append(
            Frame(
                tokenizer: Tokenizer(bytes: files[file].bytes, file: file), file: file, depth: depth,
                blockDepth: blocks.count, isState: isState))
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
    private mutating func load(
        _ path: String, at name: Word?, mayBeMissing: Bool, _ source: inout some ConfigurationSource
    ) -> Int? {
        if let known = fileIndex[path] { return known }
        switch source.file(path) {
        case .success(let bytes):
            files.append(File(path: path, bytes: bytes))
            fileIndex[path] = files.count - 1
            return files.count - 1
        case .failure(let fault) where mayBeMissing && fault.code == Assembler.noSuchFile: return nil
        case .failure(let fault):
            error(
                "open() \"\(shown(Array(path.utf8)))\" failed (\(fault.code): \(fault.reason))", at: name?.position,
                hint:
                    "check the path\(name == nil ? " after -c" : "; it is relative to the directory of the main file")")
            return nil
        }
    }
}
