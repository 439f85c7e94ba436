// SPDX-License-Identifier: Apache-2.0
//
// The Weir in front of the brokers, with the configuration that people would write for it: devices stay with the broker
// that their client id hashes to, a broker that does not answer CONNECT gets none, applications come through TLS, each
// with a certificate, and people look at all of it in a browser.

import Glibc
import LinuxIO
import Vocabulary

final class WeirProcess {
    static let checkIntervalMilliseconds: UInt64 = 2000

    let ports: DemoPorts
    let errorLog: String
    let accessLog: String
    let configurationFile: String
    private let program: String
    private let folder: String
    private let certificates: DemoCertificates
    private let pidFile: String
    private let outputFile: String
    private var process: ChildProcess?

    /// Writes the configuration.
    init(
        ports: DemoPorts, certificates: DemoCertificates, program: String, folder: borrowing DemoFolder
    ) throws(Errno) {
        self.ports = ports
        self.certificates = certificates
        self.program = program
        self.folder = folder.path
        errorLog = folder.file("error.log")
        accessLog = folder.file("access.log")
        pidFile = folder.file("weir.pid")
        outputFile = folder.file("weir.out")
        configurationFile = folder.file("weir.conf")
        try Files.write(configurationFile, Array(configuration.utf8))
    }

    var pid: Int32? { process?.pid }
    var isRunning: Bool { process != nil }

    /// The pid file is written once listening works.
    var isListening: Bool { isRunning && Files.exists(pidFile) }

    func start() throws(Errno) {
        process = try ChildProcess.start(
            program, ["-p", folder, "-c", configurationFile, "-e", errorLog], outputFile: outputFile,
            parentDeathSignal: SIGTERM)
    }

    func reload() { process?.send(SIGHUP) }

    /// Fast, with whatever sessions there are.
    func stop() -> Processes.Ended? {
        defer { process = nil }
        return process?.stop(SIGTERM)
    }

    /// What ended it, once, if it ended by itself.
    func noticeEnd() -> Processes.Ended? {
        guard let ended = process?.reap() else { return nil }
        process = nil
        return ended
    }

    /// What it said on its standard output and error.
    var outputLines: [String] { LogTail.lastLines(of: outputFile, 20) }

    private var configuration: String {
        let listens = [ports.weirIPv6, ports.weirIPv4].compactMap { $0 }.map { "listen \($0.text);" }
        // A connection that fails keeps its broker out for `fail_timeout`, checks or not; nginx's 10 s are long for
        // people who wait for a broker that they have just started again.
        let servers = ports.brokerEndpoints.map { "server \($0.text) fail_timeout=2s;" }
        return """
            daemon off;
            worker_processes 2;
            pid \(pidFile);
            error_log \(errorLog) info;

            events { }

            http {
                server {
                    listen \(ports.weirHTTP.text);
                    location / { dashboard; }
                    location /api/ { api write=on; }
                    location /metrics { prometheus; }
                }
            }

            stream {
                log_format mqtt '$remote_addr [$time_local] $status $session_time s '
                                'client=$mqtt_preread_clientid cert=$ssl_client_cn upstream=$upstream_addr '
                                'in=$bytes_received out=$bytes_sent';
                access_log \(accessLog) mqtt;

                match mqtt {
                    send \\x10\\x0c\\x00\\x04\\x4d\\x51\\x54\\x54\\x04\\x02\\x00\\x00\\x00\\x00;
                    expect \\x20\\x02\\x00\\x00;
                }

                upstream brokers {
                    zone brokers 64k;
                    hash $mqtt_preread_clientid consistent;
                    \(servers.joined(separator: "\n        "))
                }

                server {
                    \(listens.joined(separator: "\n        "))
                    status_zone sensors;
                    mqtt_preread on;
                    proxy_pass brokers;
                    proxy_connect_timeout 1s;
                    health_check interval=2s match=mqtt;
                    health_check_timeout 1s;
                }

                server {
                    listen \(ports.weirSecure.text) ssl;
                    status_zone office;
                    ssl_certificate \(certificates.path(DemoCertificates.Name.server));
                    ssl_certificate_key \(certificates.path(DemoCertificates.Name.serverKey));
                    ssl_client_certificate \(certificates.path(DemoCertificates.Name.authority));
                    ssl_verify_client on;
                    mqtt_preread on;
                    proxy_pass brokers;
                    proxy_connect_timeout 1s;
                }
            }

            """
    }
}
