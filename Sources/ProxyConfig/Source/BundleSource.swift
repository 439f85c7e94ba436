// SPDX-License-Identifier: Apache-2.0
//
// The two sources around a bundle: one that writes down what another source answers, one that answers from what was
// written down. Between them stand the master and its children.

import Vocabulary

/// Asks another source and records each answer. A refusal is not recorded: what is not in a bundle does not exist, as a
/// `state` file may, and a configuration that met any other refusal is not valid.
package struct RecordingSource<Inner: ConfigurationSource>: ConfigurationSource {
    package private(set) var inner: Inner
    package var bundle: Bundle

    package init(_ inner: Inner, bundle: Bundle = Bundle()) {
        self.inner = inner
        self.bundle = bundle
    }

    package mutating func file(_ path: String) -> Result<[UInt8], SourceFault> {
        let answer = inner.file(path)
        if case .success(let bytes) = answer { bundle.record(.file, path, bytes) }
        return answer
    }

    package mutating func secret(_ path: String) -> Result<[UInt8], SourceFault> {
        let answer = inner.secret(path)
        if case .success(let bytes) = answer { bundle.record(.secret, path, bytes) }
        return answer
    }

    package mutating func expand(_ mask: String) -> Result<[String], SourceFault> {
        let answer = inner.expand(mask)
        if case .success(let paths) = answer { bundle.record(.expansion, mask, BundleList.join(paths)) }
        return answer
    }

    package mutating func addresses(of host: String) -> Result<[IPAddress], SourceFault> {
        let answer = inner.addresses(of: host)
        if case .success(let addresses) = answer {
            bundle.record(.addresses, host, BundleList.join(addresses.map(\.text)))
        }
        return answer
    }
}

/// Answers from a bundle alone. What is not in it does not exist.
package struct BundleSource: ConfigurationSource {
    package let bundle: Bundle
    private static let absent = SourceFault(code: 2, reason: "No such file or directory")

    package init(_ bundle: Bundle) { self.bundle = bundle }

    package func file(_ path: String) -> Result<[UInt8], SourceFault> {
        guard let bytes = bundle[.file, path] else { return .failure(BundleSource.absent) }
        return .success(bytes)
    }

    package func secret(_ path: String) -> Result<[UInt8], SourceFault> {
        guard let bytes = bundle[.secret, path] else { return .failure(BundleSource.absent) }
        return .success(bytes)
    }

    package func expand(_ mask: String) -> Result<[String], SourceFault> {
        guard let bytes = bundle[.expansion, mask] else { return .failure(BundleSource.absent) }
        return .success(BundleList.split(bytes))
    }

    package func addresses(of host: String) -> Result<[IPAddress], SourceFault> {
        guard let bytes = bundle[.addresses, host] else { return .failure(BundleSource.absent) }
        return .success(BundleList.split(bytes).compactMap { IPAddress(text: $0) })
    }
}

/// Texts in one value, each ended by NUL.
private enum BundleList {
    static func join(_ texts: [String]) -> [UInt8] {
        var bytes: [UInt8] = []
        for text in texts {
            bytes.append(contentsOf: text.utf8)
            bytes.append(0)
        }
        return bytes
    }

    static func split(_ bytes: [UInt8]) -> [String] {
        bytes.split(separator: 0, omittingEmptySubsequences: true).map { String(decoding: $0, as: UTF8.self) }
    }
}
