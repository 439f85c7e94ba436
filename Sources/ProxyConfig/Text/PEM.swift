// SPDX-License-Identifier: Apache-2.0
//
// The armour of RFC 7468, as far as one has to know which of a file's blocks anybody may see.

package enum PEM {
    private static let begin = Array("-----BEGIN ".utf8)
    private static let end = Array("-----END ".utf8)
    private static let open = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CRL"].map {
        Array($0.utf8)
    }

    /// The certificates and lists of revoked ones, as they stand. The result of a result is the same bytes.
    package static func withoutSecrets(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        /// Where the block that is being read began in `output`; nil outside of those that are kept.
        var start: Int? = nil
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            if line.starts(with: begin) {
                if let start { output.removeSubrange(start...) }
                start = open.contains(label(of: line)) ? output.count : nil
            }
            guard start != nil else { continue }
            output += line
            output.append(UInt8(ascii: "\n"))
            if line.starts(with: end) { start = nil }
        }
        if let start { output.removeSubrange(start...) }
        return output
    }

    private static func label(of line: ArraySlice<UInt8>) -> [UInt8] {
        Array(line.dropFirst(begin.count).prefix { $0 != UInt8(ascii: "-") })
    }
}
