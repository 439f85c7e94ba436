// SPDX-License-Identifier: Apache-2.0
//
// The version, once.

/// Of `weir -v`, `$nginx_version` and the log.
package let weirVersion = "0.1.0"
