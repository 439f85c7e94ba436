// SPDX-License-Identifier: Apache-2.0
//
// The memory file of one `ssl_session_cache shared:NAME:SIZE`, as the master holds it: made with the first generation
// that names it, handed to every worker, and the same over reloads while name and size stay. The master maps it only
// to free the lock of a worker that died, so that no child inherits a mapping of sessions.

import LinuxIO
import ProxyConfig
import SharedState

final class SessionCacheFile {
    let cache: SharedSessionCache
    /// Closed with the last generation that holds this.
    let file: Int32

    private init(_ cache: SharedSessionCache, file: consuming Descriptor) {
        self.cache = cache
        self.file = file.release()
    }

    deinit { Descriptors.close(file) }

    /// One for each that is wanted; those that are known go on with their sessions.
    static func open(
        _ wanted: [SharedSessionCache], known: [SessionCacheFile]
    ) throws(StartFault) -> [SessionCacheFile] {
        var files: [SessionCacheFile] = []
        for cache in wanted {
            if let same = known.first(where: { $0.cache == cache }) {
                files.append(same)
                continue
            }
            do throws(Errno) {
                files.append(
                    SessionCacheFile(cache, file: try SessionCacheRegion.makeFile(byteCount: cache.byteCount)))
            } catch {
                throw StartFault("memory of session cache \"\(cache.name)\" failed (\(error.numberedText))")
            }
        }
        return files
    }

    /// A worker with this id has ended. A cache that cannot be mapped now keeps no new sessions, and loses none.
    func release(of processID: Int32) {
        (try? SessionCacheRegion.attach(file, known: []))?.release(of: processID)
    }
}
