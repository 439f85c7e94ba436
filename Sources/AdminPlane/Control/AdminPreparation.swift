// SPDX-License-Identifier: Apache-2.0
//
// A generation on its way to the admin process: what the master has sent of it, and what is built of that. Nothing of
// it counts before the commit.

import ControlLink
import LinuxIO
import ProxyConfig
import Vocabulary

final class AdminPreparation {
    /// Far more than any configuration: a bound against a lie, not a limit for people.
    private static let bundleBytesMax = 1 << 30

    let generation: UInt32
    private let bundle: Descriptor
    private var logs: [Int: Int32] = [:]
    private var sockets: [Int: Int32] = [:]
    /// From `build` on.
    var built: AdminProcess.Generation? = nil
    private(set) var configuration = Configuration()

    init(generation: UInt32, bundle: consuming Descriptor) {
        self.generation = generation
        self.bundle = bundle
    }

    deinit {
        for number in logs.values { Descriptors.close(number) }
        for number in sockets.values { Descriptors.close(number) }
    }

    func add(log number: Int32, at index: Int) {
        if let former = logs.updateValue(number, forKey: index) { Descriptors.close(former) }
    }

    func add(socket number: Int32, at index: Int) {
        if let former = sockets.updateValue(number, forKey: index) { Descriptors.close(former) }
    }

    /// With rests: workers want the processors.
    func build() throws(AdminFault) {
        let bytes: [UInt8]
        do throws(Errno) {
            bytes = try Memory.readSealed(bundle.number, bytesMax: AdminPreparation.bundleBytesMax)
        } catch {
            throw AdminFault("the bundle cannot be read (\(error.numberedText))")
        }
        guard let bundle = Bundle(encoded: bytes), let options = ConfigurationOptions(bundle: bundle) else {
            throw AdminFault("the bundle is damaged")
        }
        var source = BundleSource(bundle)
        var pace = WorkPace()
        let outcome = ConfigurationBuilder.buildAll(&source, options: options) { pace.pause() }
        guard let configuration = outcome.configuration else {
            throw AdminFault(outcome.diagnostics.first { $0.level == .emerg }?.headline ?? "it does not build")
        }
        self.configuration = configuration
    }

    // MARK: Commit

    func makeLog(hostname: String) -> ChildLog {
        let log = ChildLog(configuration, hostname: hostname)
        for (index, number) in logs { log.open(index, Descriptor(number)) }
        logs = [:]
        return log
    }

    /// By address; whoever takes them closes them. What the configuration has no address for is closed here.
    func takeSockets() -> [Endpoint: Int32] {
        let listeners = configuration.admin?.listeners ?? []
        var taken: [Endpoint: Int32] = [:]
        for (index, listener) in listeners.enumerated() {
            if let number = sockets.removeValue(forKey: index) { taken[listener.endpoint] = number }
        }
        return taken
    }
}
