// SPDX-License-Identifier: Apache-2.0
//
// The picture of this moment, taken from the running world.

import LinuxIO
import SharedState
import Vocabulary

extension DemoPicture {
    init(of world: DemoWorld, now: UInt64) {
        weirPort = world.ports.weir
        securePort = world.ports.secure
        brokerPort = world.ports.brokers[0]
        page = world.page
        folder = world.certificates.folder
        hasIPv6 = world.ports.hasIPv6
        generation = world.generation()
        isWeirRunning = world.weir.isRunning
        logLines = world.logLines
        brokers = world.brokers.map { broker in
            var row = Broker(
                number: broker.number, address: broker.endpoint.text, isRunning: broker.isRunning, state: .unknown)
            guard let report = world.report(of: broker) else { return row }
            row.state =
                switch report.health {
                case .up: .up
                case .unhealthy: .unhealthy
                case .checking: .checking
                }
            row.reason = report.reason
            row.sessionsNow = report.active
            row.sessionsAll = report.sessions
            row.checks = report.checks
            row.checksFailed = report.checksFailed
            return row
        }
        devices = world.sensors.map { sensor in
            var row = Device(
                id: sensor.id, broker: world.broker(of: sensor)?.number, isConnected: sensor.link.isConnected)
            row.led = sensor.led.rawValue
            row.isLit = sensor.isLit(now: now)
            guard let reading = sensor.last else { return row }
            row.sequence = reading.sequence
            row.uptimeSeconds = reading.uptimeSeconds
            row.light = reading.light
            row.temperature = Sensor.decimal(tenths: reading.temperature)
            return row
        }
        office = Office(
            id: BackOffice.id, broker: world.broker(of: world.backOffice.link)?.number,
            isConnected: world.backOffice.link.isConnected, certificate: DemoCertificates.officeName,
            deed: world.backOffice.lastDeed.map { "\($0.sensor): led \($0.led.rawValue)" } ?? "")
    }
}
