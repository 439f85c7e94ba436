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
    @Flag(help: "Answer in JSON.")
    var json = false

    func client() throws(CommandFault) -> APIClient {
        let address = try APIAddress(api ?? Processes.environmentValue("WEIR_API") ?? APIAddress.byDefault)
        return APIClient(
            address: address, credentials: try Credentials.find(for: address.machine, netrc: netrcFile),
            authorities: cacert)
    }
}
