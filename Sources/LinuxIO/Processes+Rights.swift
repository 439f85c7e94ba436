// SPDX-License-Identifier: Apache-2.0
//
// Users, groups and the giving up of rights.

import CLinux
import Glibc

/// A user as the password database knows it.
package struct UserIdentity: Sendable, Equatable {
    package var name: String
    package var userID: UInt32
    /// The group that processes of this user run in.
    package var groupID: UInt32

    package init(name: String, userID: UInt32, groupID: UInt32) {
        self.name = name
        self.userID = userID
        self.groupID = groupID
    }
}

extension Processes {
    package static var isRoot: Bool { geteuid() == 0 }

    /// Nil when there is no such user.
    package static func user(named name: String) -> UserIdentity? {
        guard let entry = unsafe getpwnam(name) else { return nil }
        return unsafe UserIdentity(name: name, userID: entry.pointee.pw_uid, groupID: entry.pointee.pw_gid)
    }

    /// Nil when there is no such group.
    package static func groupID(named name: String) -> UInt32? {
        guard let entry = unsafe getgrnam(name) else { return nil }
        return unsafe entry.pointee.gr_gid
    }

    /// Gives up root for good: groups, then group, then user. `keepsNetRaw` keeps the one capability that transparent
    /// binding needs. The process stays dumpable, so that its user can look at it.
    package static func become(_ user: UserIdentity, keepsNetRaw: Bool) throws(CallFault) {
        try step("setgid(\(user.groupID))") { setgid(user.groupID) }
        try step("initgroups(\(user.name), \(user.groupID))") { unsafe initgroups(user.name, user.groupID) }
        if keepsNetRaw { try step("prctl(PR_SET_KEEPCAPS, 1)") { negated(cl_keep_capabilities(true)) } }
        try step("setuid(\(user.userID))") { setuid(user.userID) }
        if keepsNetRaw { try step("capset()") { negated(cl_reduce_to_net_raw()) } }
        try step("prctl(PR_SET_DUMPABLE)") { negated(cl_set_dumpable(true)) }
    }

    private static func step(_ call: String, _ body: () -> Int32) throws(CallFault) {
        do throws(Errno) { _ = try answer(body) } catch { throw CallFault(call: call, error: error) }
    }

    /// A CLinux answer in libc's form.
    private static func negated(_ answer: Int32) -> Int32 {
        if answer >= 0 { return answer }
        errno = -answer
        return -1
    }
}
