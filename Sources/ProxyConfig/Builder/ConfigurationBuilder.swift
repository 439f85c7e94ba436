// SPDX-License-Identifier: Apache-2.0
//
// The way from text to a configuration, in slices: a worker calls `step` between its turns, so that a reload is not
// felt; whoever has time calls `buildAll`. Nothing is valid before `finish`.

package enum BuildProgress: Sendable, Equatable {
    case more, done
}

/// A file that was read.
package struct ConfigurationFile: Sendable {
    package var path: String
    package var bytes: [UInt8]
}

package struct ConfigurationOutcome: Sendable {
    /// Nil when there was an error.
    package var configuration: Configuration?
    /// The first ones of each level, in the order of the text.
    package var diagnostics: [Diagnostic]
    package var errorCount: Int
    package var warningCount: Int
    /// Each file once, in the order of reading; for `-T`.
    package var files: [ConfigurationFile]

    /// All diagnostics for a terminal, and how many more there are.
    package func render() -> String {
        var text = diagnostics.map { $0.render() }.joined()
        let omitted = errorCount + warningCount - diagnostics.count
        if omitted > 0 { text += "weir: \(omitted) more of these are not shown\n" }
        return text
    }
}

package struct ConfigurationBuilder<Source: ConfigurationSource> {
    package private(set) var source: Source
    private var assembler: Assembler
    private var hasOpenedFile = false

    package init(source: Source, options: ConfigurationOptions) {
        self.source = source
        assembler = Assembler(options: options)
    }

    /// One slice of bounded work: a block of the stream level read, or a server linked.
    package mutating func step() -> BuildProgress {
        switch assembler.phase {
        case .reading:
            if assembler.frames.isEmpty, !hasOpenedFile {
                hasOpenedFile = true
                assembler.openMainFile(&source)
            } else if !assembler.readSlice(&source), hasOpenedFile {
                assembler.beginLinking()
                assembler.enter(.destinations)
            }
            return .more
        case .destinations, .maps, .mapCircles, .formats, .upstreams, .servers, .listeners, .tls, .admin:
            assembler.linkSlice(&source)
            return assembler.phase == .done ? .done : .more
        case .done: return .done
        }
    }

    /// What came of it. Before `step` said `.done` there is no configuration.
    package consuming func finish() -> ConfigurationOutcome {
        let isValid = assembler.phase == .done && assembler.report.errorCount == 0
        return ConfigurationOutcome(
            configuration: isValid ? assembler.configuration : nil,
            diagnostics: assembler.report.diagnostics, errorCount: assembler.report.errorCount,
            warningCount: assembler.report.warningCount,
            files: assembler.files.filter { !$0.path.isEmpty }.map { ConfigurationFile(path: $0.path, bytes: $0.bytes) }
        )
    }

    /// Everything at once. The source keeps what it recorded. `pause` comes between slices, for a caller that rests.
    package static func buildAll(
        _ source: inout Source, options: ConfigurationOptions, pause: () -> Void = {}
    ) -> ConfigurationOutcome {
        var builder = ConfigurationBuilder(source: source, options: options)
        while builder.step() == .more { pause() }
        source = builder.source
        return builder.finish()
    }
}
