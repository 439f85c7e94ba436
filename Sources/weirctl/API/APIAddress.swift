// SPDX-License-Identifier: Apache-2.0
//
// Where the API is, as people write it: `http://host:port/api`, `https://…`, `unix:/path`, or `unix:/path:/api`.

struct APIAddress: Equatable {
    enum Place: Equatable {
        case host(String, port: Int)
        case unix(String)
    }
    static let byDefault = "http://127.0.0.1:8080/api"

    var place: Place
    var isSecure = false
    /// Begins with a slash, and ends with none.
    var path = "/api"

    init(_ text: String) throws(CommandFault) {
        if text.hasPrefix("unix:") {
            let parts = text.dropFirst(5).split(separator: ":", maxSplits: 1)
            guard let socket = parts.first, socket.hasPrefix("/") else { throw Self.fault(text) }
            place = .unix(String(socket))
            if parts.count > 1 { path = String(parts[1]) }
        } else {
            isSecure = text.hasPrefix("https://")
            guard isSecure || text.hasPrefix("http://") else { throw Self.fault(text) }
            let rest = text.dropFirst(isSecure ? 8 : 7)
            let authority = rest.prefix { $0 != "/" }
            // A password on a command line is everybody's who may list processes.
            guard !authority.contains("@") else {
                throw CommandFault("no passwords in --api: set WEIR_API_AUTH, or use a netrc file")
            }
            guard let (host, port) = Self.hostAndPort(authority, isSecure ? 443 : 80) else { throw Self.fault(text) }
            place = .host(host, port: port)
            if authority.count < rest.count { path = String(rest.dropFirst(authority.count)) }
        }
        while path.hasSuffix("/") { path.removeLast() }
        guard path.isEmpty || path.hasPrefix("/"), path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw Self.fault(text)
        }
    }

    /// For the `Host` field; a socket has no name.
    var host: String {
        switch place {
        case .host(let host, let port):
            (host.contains(":") ? "[\(host)]" : host) + (port == (isSecure ? 443 : 80) ? "" : ":\(port)")
        case .unix: "localhost"
        }
    }

    /// The name that a netrc file has it under.
    var machine: String {
        if case .host(let host, _) = place { host } else { "localhost" }
    }

    private static func hostAndPort(_ text: Substring, _ usual: Int) -> (String, Int)? {
        var host = text
        var port: Substring? = nil
        if text.hasPrefix("["), let close = text.firstIndex(of: "]") {
            host = text[text.index(after: text.startIndex)..<close]
            let rest = text[text.index(after: close)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        guard let port else { return (String(host), usual) }
        guard let number = Int(port), (1...65535).contains(number) else { return nil }
        return (String(host), number)
    }

    private static func fault(_ text: String) -> CommandFault {
        CommandFault("\"\(text)\" is no address of an API: write \(byDefault), or unix:/path/to/socket")
    }
}
