// SPDX-License-Identifier: Apache-2.0
//
// `pass`: to a listener of this configuration, in the same worker.

import Vocabulary

extension Assembler {
    mutating func linkPass(_ word: Word, _ source: inout some ConfigurationSource) -> Server.Content? {
        if word.bytes.contains(UInt8(ascii: "$")) { return .pass(template(word)) }
        let parsed: AddressText
        do throws(AddressText.Fault) {
            parsed = try AddressText.parse(word.bytes, isListen: false)
        } catch {
            refusePass(word, error.reason, hint: error.remedy)
            return nil
        }
        guard let endpoint = passEndpoint(parsed, word, &source) else { return nil }
        serverLinks[cursor.draft].pass = (endpoint, word)
        return .pass(Template(parts: [.literal(Array(endpoint.text.utf8))]))
    }

    private mutating func passEndpoint(
        _ parsed: AddressText, _ word: Word, _ source: inout some ConfigurationSource
    ) -> Endpoint? {
        if case .unix(let path) = parsed.host { return .unix(path) }
        guard let port = parsed.ports?.lowerBound else {
            refusePass(word, "no port", hint: "write the port, too: \(parsed.hostText):1883")
            return nil
        }
        switch parsed.host {
        case .address(let address): return .ip(IPEndpoint(address: address, port: port))
        case .name(let host):
            switch addresses(of: host, &source) {
            case .success(let addresses): return .ip(IPEndpoint(address: addresses[0], port: port))
            case .failure(let fault):
                refusePass(word, "host not found", hint: Assembler.hostHint(host, fault))
                return nil
            }
        case .any, .unix: return nil
        }
    }

    private mutating func refusePass(_ word: Word, _ reason: String, hint: String) {
        error("\(reason) in \"\(shown(word.bytes))\" of the \"pass\" directive", at: word, hint: hint)
    }

    /// Once all listeners are known. A wildcard listener takes its port at any address of its family.
    mutating func checkPass(_ server: Int) {
        guard let (endpoint, word) = serverLinks[server].pass, listenerByEndpoint[endpoint] == nil else { return }
        if case .ip(let address) = endpoint {
            let any = address.address.family == .ipv4 ? IPAddress(ipv4: 0) : IPAddress(ipv6High: 0, low: 0)
            if listenerByEndpoint[.ip(IPEndpoint(address: any, port: address.port))] != nil { return }
        }
        warn(
            "no server listens at \"\(shown(word.bytes))\"", at: word,
            hint: "pass leads to a listener of this configuration; proxy_pass connects to other programs")
    }
}
