// SPDX-License-Identifier: Apache-2.0
//
// A `state` file on its way: written beside the old one and on the disk before anybody counts on it, in its place with
// one rename(2), so that whoever reads it, and whenever the machine stops, finds the old servers or the new ones.

import LinuxIO

struct StateFile {
    /// Links followed: a file that is kept elsewhere stays there.
    private let path: String
    private let draft: String

    init(_ path: String, _ text: String) throws(StartFault) {
        self.path = (try? Files.resolve(path)) ?? path
        draft = self.path + ".new"
        do throws(Errno) {
            try Files.writeDurably(draft, Array(text.utf8))
        } catch {
            try? Files.remove(draft)
            throw StartFault("state file \"\(draft)\" cannot be written (\(error.numberedText))")
        }
    }

    func adopt() throws(StartFault) {
        do throws(Errno) { try Files.rename(draft, to: path) } catch {
            discard()
            throw StartFault("rename() of state file \"\(draft)\" failed (\(error.numberedText))")
        }
    }

    func discard() { try? Files.remove(draft) }
}
