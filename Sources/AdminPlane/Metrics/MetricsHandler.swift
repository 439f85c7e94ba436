// SPDX-License-Identifier: Apache-2.0
//
// `prometheus`: figures as text for Prometheus.

import HTTPTypes
import HummingbirdCore

package struct MetricsHandler: AdminHandler {
    private let context: AdminContext

    package init(context: AdminContext) { self.context = context }

    package func respond(to request: AdminRequest) async -> Response { .page(.serviceUnavailable) }
}
