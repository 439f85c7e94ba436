// SPDX-License-Identifier: Apache-2.0
//
// `dashboard`: the page for people.

import HTTPTypes
import HummingbirdCore

package struct DashboardHandler: AdminHandler {
    private let context: AdminContext

    package init(context: AdminContext) { self.context = context }

    package func respond(to request: AdminRequest) async -> Response { .page(.serviceUnavailable) }
}
