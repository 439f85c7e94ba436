// SPDX-License-Identifier: Apache-2.0
//
// The main and events contexts (ngx_core_module): processes, rights, files.

extension DirectiveTable {
    /// As many as anybody has CPUs; nginx ends at 1024, too.
    private static let workersMax = 1024
    private static let everywhere: Contexts =
        .adminLevels.union([.main, .events, .stream, .server, .upstream, .match, .map])

    static let mainDirectives: [Directive] = [
        .repeatable("include", everywhere, 1...1) { $0.pendingFile = .include($1.first) },
        .simple("user", .main, 1...2) { assembler, statement in
            assembler.main.user = statement.first.text
            assembler.main.group = statement.arguments.count > 1 ? statement.words[2].text : nil
        },
        .simple("worker_processes", .main, 1...1) { assembler, statement in
            if statement.first.equals("auto") {
                assembler.main.workerCount = .automatic
            } else if let count = Quantity.number(statement.first.bytes), (1...workersMax).contains(count) {
                assembler.main.workerCount = .number(count)
            } else {
                assembler.error(
                    "\"worker_processes\" directive invalid value", at: statement.first,
                    hint: "write auto or a number from 1 to \(workersMax)")
            }
        },
        .simple("worker_cpu_affinity", .main, Directive.any) { $0.setAffinity($1) },
        .simple("worker_priority", .main, 1...1) { $0.setPriority($1) },
        .number("worker_rlimit_nofile", .main, in: 1...Int(Int32.max)) { $0.main.descriptorLimit = $1 },
        .simple("worker_rlimit_core", .main, 1...1) { assembler, statement in
            if let size = Quantity.offset(statement.first.bytes) {
                assembler.main.coreSizeLimitBytes = size
            } else {
                assembler.error(
                    "\"worker_rlimit_core\" directive invalid value", at: statement.first, hint: Assembler.sizeHint)
            }
        },
        .time("worker_shutdown_timeout", .main) { $0.main.shutdownTimeoutMilliseconds = $1 },
        .simple("working_directory", .main, 1...1) { $0.main.workingDirectory = $1.first.text },
        .simple("pid", .main, 1...1) { $0.main.pidFile = $0.logPath($1.first) },
        .flag("daemon", .main) { $0.main.isDaemon = $1 },
        .flag("master_process", .main) { $0.main.hasMaster = $1 },
        .repeatable("env", .main, 1...1) { $0.main.environment.append($1.first.text) },
        .block("events", .main, 0...0, isRepeatable: false) { $0.openBlock(.events, $1) },
        .block("stream", .main, 0...0, isRepeatable: false) { $0.openBlock(.stream, $1) },
        .simple("worker_connections", .events, 1...1) { assembler, statement in
            let count = Quantity.number(statement.first.bytes)
            if let count, (1...Int(Int32.max)).contains(count) {
                assembler.main.workerConnections = count
            } else {
                assembler.error(
                    "invalid number \"\(shown(statement.first.bytes))\"", at: statement.first,
                    hint: "write how many connections a worker may have, of clients and brokers together")
            }
        },
        .flag("multi_accept", .events) { $0.main.acceptsMany = $1 },

        // Without effect.
        .ignored("load_module", .main, 1...1, reason: "there are no modules to load: stream is built in"),
        .ignored("pcre_jit", .main, 1...1),
        .ignored("thread_pool", .main, 2...3),
        .ignored("timer_resolution", .main, 1...1, reason: "timers are always exact to the millisecond"),
        .ignored("ssl_engine", .main, 1...1, reason: "OpenSSL engines are not used"),
        .ignored("ssl_object_cache_inheritable", .main, 1...1),
        .ignored("lock_file", .main, 1...1),
        .ignored("debug_points", .main, 1...1, reason: "it belongs to nginx's own debugging"),
        .ignored("use", .events, 1...1, reason: "io_uring is the only event method"),
        .ignored("accept_mutex", .events, 1...1),
        .ignored("accept_mutex_delay", .events, 1...1),
        .ignored("worker_aio_requests", .events, 1...1),
        .ignored("debug_connection", .events, 1...1, reason: "use \"error_log FILE debug\" for all connections"),
    ]
}

extension Assembler {
    /// CPUs of a mask; nginx ends at 1024, too.
    private static let cpusMax = 1024

    mutating func setAffinity(_ statement: Statement) {
        var masks: [CPUMask] = []
        let isAutomatic = statement.first.equals("auto")
        let words = isAutomatic ? statement.arguments.dropFirst() : statement.arguments
        guard !isAutomatic || words.count <= 1 else {
            error(
                "invalid number of arguments in \"worker_cpu_affinity\" directive", at: statement.name,
                hint: "after auto stands one mask or none")
            return
        }
        for word in words {
            guard let mask = cpuMask(word) else { return }
            masks.append(mask)
        }
        main.affinity = isAutomatic ? .automatic(masks.first) : .masks(masks)
    }

    /// `0101`: the rightmost digit is CPU 0. Spaces are for the eye.
    private mutating func cpuMask(_ word: Word) -> CPUMask? {
        let hint = "a mask is made of 0 and 1, CPU 0 rightmost: 0001 0010"
        let digits = word.bytes.filter { $0 != UInt8(ascii: " ") }
        if let other = digits.first(where: { $0 != UInt8(ascii: "0") && $0 != UInt8(ascii: "1") }) {
            error("invalid character \"\(visible([other]))\" in \"worker_cpu_affinity\"", at: word, hint: hint)
            return nil
        }
        guard !digits.isEmpty, digits.count <= Assembler.cpusMax else {
            error("\"worker_cpu_affinity\" supports up to \(Assembler.cpusMax) CPUs only", at: word, hint: hint)
            return nil
        }
        var words = [UInt64](repeating: 0, count: (digits.count + 63) / 64)
        for (cpu, digit) in digits.reversed().enumerated() where digit == UInt8(ascii: "1") {
            words[cpu / 64] |= 1 << UInt64(cpu % 64)
        }
        return CPUMask(words: words)
    }

    mutating func setPriority(_ statement: Statement) {
        var digits = statement.first.bytes[...]
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative || digits.first == UInt8(ascii: "+") { digits = digits.dropFirst() }
        guard let value = Quantity.number(digits), value <= 20 else {
            error(
                "\"worker_priority\" directive invalid number", at: statement.first,
                hint: "write a nice value from -20 to 19")
            return
        }
        main.workerPriority = isNegative ? -value : min(value, 19)
    }
}
