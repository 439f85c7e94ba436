// SPDX-License-Identifier: Apache-2.0
//
// The admin process's HTTP server.

import Hummingbird
import NIOSSL
