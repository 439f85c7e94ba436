// SPDX-License-Identifier: Apache-2.0
//
// A configuration as it stands in its files, for questions about it. What only the master may read (keys, passwords) is
// not read: no route depends on it.

import ControlPlane
import LinuxIO
import ProxyConfig
import Vocabulary

struct RouteSource: ConfigurationSource {
    private var system = SystemSource()

    mutating func file(_ path: String) -> Result<[UInt8], SourceFault> { system.file(path) }
    mutating func secret(_ path: String) -> Result<[UInt8], SourceFault> { .success(Bundle.secretPlaceholder) }
    mutating func expand(_ mask: String) -> Result<[String], SourceFault> { system.expand(mask) }
    mutating func addresses(of host: String) -> Result<[IPAddress], SourceFault> { system.addresses(of: host) }

    /// Nil for the file that stands where Weir looks by itself.
    static func load(_ file: String?, prefix: String?) throws(CommandFault) -> Configuration {
        let working = (try? Files.workingDirectory()) ?? "/"
        let folder = working.hasSuffix("/") ? working : working + "/"
        let prefix = prefix.map { Places.path($0, under: folder) } ?? Places.defaultPrefix
        let path =
            file.map { Places.path($0, under: folder) }
            ?? Places.path(Places.defaultConfigurationFile, under: prefix.hasSuffix("/") ? prefix : prefix + "/")
        let options = ConfigurationOptions(
            file: path, prefix: prefix, hostname: (try? Processes.hostname()) ?? "")
        var source = RouteSource()
        let outcome = ConfigurationBuilder.buildAll(&source, options: options)
        guard let configuration = outcome.configuration else {
            throw CommandFault(outcome.render() + "weirctl: configuration file \(path) is not valid")
        }
        return configuration
    }
}
