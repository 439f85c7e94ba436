// SPDX-License-Identifier: Apache-2.0
//
// Names with a `*` at one end, as `map … hostnames` and `server_name` have them (ngx_hash_add_key).

/// A key of `hostnames`, or a name of `server_name`, that stands for several names.
enum HostMask {
    /// `*.example.com` and `.example.com`, as `.example.com`; the second one takes `example.com`, too.
    case prefix([UInt8], takesItself: Bool)
    /// `mail.*`, as `mail.`.
    case suffix([UInt8])

    /// A name without masks. Two dots beside each other are neither.
    static func isPlain(_ key: [UInt8]) -> Bool {
        !key.contains(UInt8(ascii: "*")) && key.first != UInt8(ascii: ".") && !hasDots(key)
    }

    private static func hasDots(_ key: [UInt8]) -> Bool {
        zip(key, key.dropFirst()).contains { $0 == UInt8(ascii: ".") && $1 == UInt8(ascii: ".") }
    }

    init?(_ key: [UInt8]) {
        guard !HostMask.hasDots(key) else { return nil }
        let star = UInt8(ascii: "*")
        let dot = UInt8(ascii: ".")
        let stars = key.count { $0 == star }
        if stars == 0, key.first == dot, key.count > 1 {
            self = .prefix(key, takesItself: true)
        } else if stars == 1, key.starts(with: [star, dot]), key.count > 2 {
            self = .prefix(Array(key.dropFirst()), takesItself: false)
        } else if stars == 1, key.suffix(2).elementsEqual([dot, star]), key.count > 2 {
            self = .suffix(Array(key.dropLast()))
        } else {
            return nil
        }
    }
}
