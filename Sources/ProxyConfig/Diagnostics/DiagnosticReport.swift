// SPDX-License-Identifier: Apache-2.0
//
// The findings of one run: all of them counted, the first ones kept, so that a broken file of a million lines neither
// fills the memory nor the terminal.

struct DiagnosticReport {
    /// Of each level.
    static let keptMax = 50

    private var kept: [(position: SourcePosition?, diagnostic: Diagnostic)] = []
    private(set) var errorCount = 0
    private(set) var warningCount = 0

    mutating func add(_ diagnostic: Diagnostic, at position: SourcePosition?) {
        switch diagnostic.level {
        case .emerg:
            errorCount += 1
            guard errorCount <= DiagnosticReport.keptMax else { return }
        case .warn:
            warningCount += 1
            guard warningCount <= DiagnosticReport.keptMax else { return }
        }
        kept.append((position, diagnostic))
    }

    /// True while another error would still be shown.
    var takesErrors: Bool { errorCount < DiagnosticReport.keptMax }

    var omittedCount: Int { errorCount + warningCount - kept.count }

    /// In the order of the text: linking finds later what stands earlier.
    var diagnostics: [Diagnostic] {
        kept.enumerated().sorted { left, right in
            let leftPlace = left.element.position.map { ($0.file, $0.offset) } ?? (-1, 0)
            let rightPlace = right.element.position.map { ($0.file, $0.offset) } ?? (-1, 0)
            return leftPlace == rightPlace ? left.offset < right.offset : leftPlace < rightPlace
        }.map(\.element.diagnostic)
    }
}
