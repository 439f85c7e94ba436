// SPDX-License-Identifier: Apache-2.0
//
// What a web page of somebody else can make an operator's browser send here, and why it is refused. A browser says in
// `Origin` and `Sec-Fetch-Site` whose page asks; a page cannot change that. A page whose name was rebound to our
// address (DNS rebinding) is of the same origin for the browser, but then `Host` is its name, and not ours. Programs
// send none of these and are not concerned.

import HTTPTypes
import Vocabulary

enum CrossSite {
    /// Why a request may not change anything. Nil: it may.
    static func refusal(ofChange request: HTTPRequest, names: [String]) -> String? {
        if let site = request.headerFields[.secFetchSite], site != "same-origin", site != "none" {
            return "a page of another site must not change anything here (Sec-Fetch-Site: \(site))"
        }
        guard let origin = request.headerFields[.origin] else { return nil }
        let host = request.authority ?? ""
        guard let separator = origin.firstRange(of: "://"),
            origin[separator.upperBound...].lowercased() == host.lowercased()
        else { return "a page of another site must not change anything here (Origin is not Host)" }
        return refusal(ofHost: host, names: names)
    }

    /// Why an answer may not go out to somebody who asked for it under this name. Nil: it may.
    static func refusal(ofHost host: String, names: [String]) -> String? {
        isKnown(host, names: names)
            ? nil : "Host is neither an address nor localhost nor a server_name: add it to server_name if it is yours"
    }

    /// An address, `localhost` or a name of the server (`*.example.com`, `.example.com` and `name.*` are masks).
    private static func isKnown(_ host: String, names: [String]) -> Bool {
        let name = withoutPort(host.lowercased())
        if name == "localhost" || name.hasSuffix(".localhost") || IPAddress(text: name) != nil { return true }
        return names.contains { mask in
            let mask = mask.lowercased()
            if mask.hasPrefix("*.") { return name.hasSuffix(mask.dropFirst()) }
            if mask.hasPrefix(".") { return name.hasSuffix(mask) || name == mask.dropFirst() }
            if mask.hasSuffix(".*") { return name.hasPrefix(mask.dropLast()) }
            return name == mask
        }
    }

    private static func withoutPort(_ host: String) -> String {
        if host.hasPrefix("[") { return String(host.dropFirst().prefix { $0 != "]" }) }
        return String(host.prefix { $0 != ":" })
    }
}
