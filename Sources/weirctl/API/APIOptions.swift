// SPDX-License-Identifier: Apache-2.0
//
// What all commands have that ask a running Weir.

import ArgumentParser
import LinuxIO

struct APIOptions: ParsableArguments {
    @Option(
        help:
            "The API: http://host:port/api, https://…, or unix:/socket. Otherwise WEIR_API, or \(APIAddress.byDefault)."
    )
    var api: String?
    @Option(help: "Where name and password stand, if WEIR_API_AUTH is not set; ~/.netrc.", completion: .file())
    var netrcFile: String?
    @Option(help: "Certificates in PEM to trust beside those of the system.", completion: .file())
    var cacert: String?
    @Option(help: "Our own certificate in PEM, for an API that asks for one; with --key.", completion: .file())
    var cert: String?
    @Option(help: "Its key in PEM.", completion: .file())
    var key: String?
    @Flag(help: "Answer in JSON.")
    var json = false

    func validate() throws {
        if (cert == nil) != (key == nil) { throw ValidationError("--cert and --key go together") }
    }

    func client() throws(CommandFault) -> APIClient {
        let address = try APIAddress(api ?? Processes.environmentValue("WEIR_API") ?? APIAddress.byDefault)
        let trust = APIClient.Trust(
            authorities: cacert, pair: cert.flatMap { cert in key.map { (certificate: cert, key: $0) } })
        return APIClient(
            address: address, credentials: try Credentials.find(for: address.machine, netrc: netrcFile), trust: trust)
    }
}
