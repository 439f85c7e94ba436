// SPDX-License-Identifier: Apache-2.0
//
// The outside of a configuration as the master asks it: files, masks and host names of this machine. Blocks, which only
// the master may.

import LinuxIO
import ProxyConfig
import Vocabulary

package struct SystemSource: ConfigurationSource {
    package init() {}

    package mutating func file(_ path: String) -> Result<[UInt8], SourceFault> {
        do throws(Errno) { return .success(try Files.read(path)) } catch {
            return .failure(SourceFault(code: error.rawValue, reason: error.text))
        }
    }

    package mutating func expand(_ mask: String) -> Result<[String], SourceFault> {
        do throws(Errno) { return .success(try Files.expand(mask)) } catch {
            return .failure(SourceFault(code: error.rawValue, reason: error.text))
        }
    }

    package mutating func addresses(of host: String) -> Result<[IPAddress], SourceFault> {
        do throws(NameFault) { return .success(try Names.addresses(of: host)) } catch {
            return .failure(SourceFault(code: error.code, reason: error.text))
        }
    }
}
