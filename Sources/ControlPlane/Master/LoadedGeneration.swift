// SPDX-License-Identifier: Apache-2.0
//
// A configuration with what the master holds for it: the sealed bundle that children build from, and the descriptors
// that they get copies of.

import LinuxIO
import ProxyConfig

final class LoadedGeneration {
    let number: UInt32
    let configuration: Configuration
    /// Sealed memory files: all that was read, and what prober and admin process get of it, where that is less.
    private(set) var bundle: Int32 = -1
    private var proberBundle: Int32 = -1
    private var adminBundle: Int32 = -1
    var logs: LogFiles
    /// Of `Configuration.sharedSessionCaches`.
    let sessionCaches: [SessionCacheFile]
    let proof: TLSProof
    /// Nil: no server makes tickets with automatic keys.
    let ticketKeyLifetimeMilliseconds: Int?

    /// `former` is the generation in use, whose session caches go on. `pause` is called between bundles.
    init(
        number: UInt32, configuration: Configuration, bundle: Bundle, proof: TLSProof, former: LoadedGeneration?,
        pause: () -> Void = {}
    ) throws(StartFault) {
        self.number = number
        self.configuration = configuration
        self.proof = proof
        ticketKeyLifetimeMilliseconds = configuration.ticketKeyLifetimeSeconds.map { min($0, 1 << 40) * 1000 }
        sessionCaches = try SessionCacheFile.open(
            configuration.sharedSessionCaches, known: former?.sessionCaches ?? [])
        logs = try LogFiles.open(configuration.logDestinations)
        do throws(Errno) {
            self.bundle = try seal(bundle)
            pause()
            proberBundle = try bundle.withSecrets(configuration.proberSecrets).map(seal) ?? -1
            pause()
            guard configuration.admin != nil else { return }
            adminBundle = try bundle.withSecrets(configuration.adminSecrets).map(seal) ?? -1
        } catch {
            close()
            throw StartFault("memfd_create() failed (\(error.numberedText))")
        }
    }

    private func seal(_ bundle: Bundle) throws(Errno) -> Int32 {
        try Memory.makeSealed(name: "weir-bundle-\(number)", bundle.encoded()).release()
    }

    /// What a child builds from.
    func bundle(of child: Child) -> Int32 {
        let own =
            switch child {
            case .worker: bundle
            case .prober: proberBundle
            case .admin: adminBundle
            }
        return own >= 0 ? own : bundle
    }

    /// The addresses that a child gets sockets for.
    func listeners(of child: Child) -> [Listener] {
        switch child {
        case .worker: configuration.listeners
        case .admin: configuration.admin?.listeners ?? []
        case .prober: []
        }
    }

    /// Closes what it holds; children keep their copies.
    func close() {
        for number in [bundle, proberBundle, adminBundle] where number >= 0 { Descriptors.close(number) }
        (bundle, proberBundle, adminBundle) = (-1, -1, -1)
        logs.close()
    }
}

/// What reading a configuration came to.
struct ConfigurationReading {
    var outcome: ConfigurationOutcome
    var bundle: Bundle
    /// Why which certificate is not stapled, in nginx's words.
    var stapleWarnings: [String] = []

    /// `isServing`: workers are at work beside this and must not feel it.
    static func read(_ places: Places, globalDirectives: String, isServing: Bool = false) -> ConfigurationReading {
        let options = ConfigurationOptions(
            file: places.configurationFile, prefix: places.prefix, globalDirectives: globalDirectives,
            defaultErrorLog: places.errorLog, hostname: (try? Processes.hostname()) ?? "")
        var bundle = Bundle()
        options.record(into: &bundle)
        var source = RecordingSource(SystemSource(), bundle: bundle)
        var pace = isServing ? WorkPace() : nil
        let outcome = ConfigurationBuilder.buildAll(&source, options: options) { pace?.pause() }
        var warnings: [String] = []
        if let configuration = outcome.configuration {
            // The names of responders go into the bundle with those of the text.
            warnings = StaplePlan(configuration, from: &source) { pace?.pause() }.warnings
        }
        return ConfigurationReading(outcome: outcome, bundle: source.bundle, stapleWarnings: warnings)
    }
}
