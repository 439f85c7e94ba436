// SPDX-License-Identifier: Apache-2.0
//
// What the tests of this target share: a source out of dictionaries, and a build of one text.

import Vocabulary

@testable import ProxyConfig

struct DictionarySource: ConfigurationSource {
    var files: [String: [UInt8]] = [:]
    var directories: Set<String> = []
    var hosts: [String: [String]] = ["localhost": ["127.0.0.1", "::1"], "b1.example": ["192.0.2.1", "192.0.2.2"]]
    private(set) var questionCount = 0

    init(files: [String: String] = [:]) {
        self.files = files.mapValues { Array($0.utf8) }
    }

    mutating func file(_ path: String) -> Result<[UInt8], SourceFault> {
        questionCount += 1
        if directories.contains(path) { return .failure(SourceFault(code: 21, reason: "Is a directory")) }
        guard let bytes = files[path] else {
            return .failure(SourceFault(code: 2, reason: "No such file or directory"))
        }
        return .success(bytes)
    }

    /// Masks of the form `HEAD*TAIL`.
    mutating func expand(_ mask: String) -> Result<[String], SourceFault> {
        questionCount += 1
        let parts = mask.split(separator: "*", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return .success([]) }
        return .success(files.keys.filter { $0.hasPrefix(parts[0]) && $0.hasSuffix(parts[1]) }.sorted())
    }

    mutating func addresses(of host: String) -> Result<[IPAddress], SourceFault> {
        questionCount += 1
        guard let texts = hosts[host] else {
            return .failure(SourceFault(code: -2, reason: "Name or service not known"))
        }
        return .success(texts.compactMap { IPAddress(text: $0) })
    }
}

let testOptions = ConfigurationOptions(file: "/etc/weir/weir.conf", prefix: "/srv/weir", hostname: "edge-1")

func build(
    _ text: String, files: [String: String] = [:], directories: Set<String> = [],
    options: ConfigurationOptions = testOptions
) -> ConfigurationOutcome {
    var source = DictionarySource(files: files)
    source.directories = directories
    source.files[options.file] = Array(text.utf8)
    return ConfigurationBuilder.buildAll(&source, options: options)
}

/// The configuration of a text that has to be valid.
func valid(_ text: String, files: [String: String] = [:]) throws -> Configuration {
    let outcome = build(text, files: files)
    guard let configuration = outcome.configuration else { throw Invalid(report: outcome.render()) }
    return configuration
}

struct Invalid: Error, CustomStringConvertible {
    var report: String
    var description: String { report }
}

/// A `server` block with a listener and a handler around some directives.
func serverText(_ directives: String, outer: String = "") -> String {
    "stream { \(outer)\nupstream u { server 192.0.2.1:1883; }\nserver { listen 1883; proxy_pass u; \(directives) } }"
}

extension Template {
    /// Variables as `$name` or `$n`, for comparing.
    func text(in configuration: Configuration) -> String {
        parts.map { part in
            switch part {
            case .literal(let bytes): String(decoding: bytes, as: UTF8.self)
            case .variable(.builtin(let variable)): "<\(variable.rawValue)>"
            case .variable(.map(let index)): "<map \(configuration.maps[index].variable)>"
            case .variable(.assigned(let index)): "<set \(configuration.assignedVariables[index])>"
            case .variable(.capture(let group)): "<\(group)>"
            }
        }.joined()
    }
}

/// The talk's configuration, with a little of everything.
let sampleText = #"""
    user nobody nogroup;
    worker_processes auto;
    error_log logs/error.log notice;
    events { worker_connections 10000; }
    stream {
        log_format mqtt '$remote_addr [$time_local] $protocol $status $bytes_received '
                        '$bytes_sent $upstream_addr "$mqtt_preread_clientid" ${session_time}s';
        access_log logs/access.log mqtt buffer=32k flush=1s;
        map $mqtt_preread_clientid $pool { default brokers; ~^test-(?<kind>\w+)-(\d+) "pool_$kind-$2"; }
        upstream brokers {
            zone brokers 64k;
            hash $mqtt_preread_clientid consistent;
            server b1.example:1883 max_fails=2 fail_timeout=10s;
            server 192.0.2.9:1883 weight=3;
        }
        match mqtt_ok {
            send \x10\x0c\x00\x04\x4d\x51\x54\x54\x04\x02\x00\x00\x00\x00;
            expect \x20\x02\x00\x00;
        }
        server {
            listen 1883 so_keepalive=30m::10;
            listen [::]:1883;
            mqtt_preread on;
            proxy_pass brokers;
            proxy_connect_timeout 1s;
            health_check interval=3s passes=2 mandatory match=mqtt_ok;
            set $site "hall-3";
            allow 10.0.0.0/8; deny all;
        }
        server { listen 1900-1902; return "${hostname}\n"; }
        upstream changing { zone changing; state a; }
    }
    http {
        server {
            listen 127.0.0.1:8080;
            location = / { return 301 /dashboard; }
            location /dashboard { dashboard; }
            location /api { api write=on; allow 127.0.0.0/8; deny all; }
            location /metrics { prometheus; }
        }
    }
    """#
