// SPDX-License-Identifier: Apache-2.0
//
// What `-v`, `-V` and `-h` print, in nginx's words.

import Vocabulary

/// Texts for people at a terminal.
package enum Usage {
    package static var versionLine: String { "weir version: weir/\(weirVersion)\n" }

    package static var buildLines: String {
        """
        built with Swift \(swiftVersion)
        configure arguments: --prefix=\(Places.defaultPrefix.dropLast()) \
        --conf-path=\(Places.defaultPrefix)\(Places.defaultConfigurationFile) \
        --error-log-path=\(Places.defaultPrefix)\(Places.defaultErrorLog) \
        --pid-path=\(Places.defaultPrefix)\(Places.defaultPIDFile) --with-stream

        """
    }

    package static var help: String {
        """
        Usage: weir [-?hvVtTq] [-s signal] [-p prefix]
                    [-e filename] [-c filename] [-g directives]
               weir word ...

        Options:
          -?,-h         : this help
          -v            : show version and exit
          -V            : show version and configure options then exit
          -t            : test configuration and exit
          -T            : test configuration, dump it and exit
          -q            : suppress non-error messages during configuration testing
          -s signal     : send signal to a master process: stop, quit, reopen, reload
          -p prefix     : set prefix path (default: \(Places.defaultPrefix))
          -e filename   : set error log file (default: \(Places.defaultErrorLog))
          -c filename   : set configuration file (default: \(Places.defaultConfigurationFile))
          -g directives : set global directives out of configuration file

        A first argument without a dash is handed to weirctl: try "weir demo" or "weir help".


        """
    }

    #if swift(>=6.4)
        private static let swiftVersion = "6.4 or later"
    #elseif swift(>=6.3)
        private static let swiftVersion = "6.3"
    #else
        private static let swiftVersion = "6.2"
    #endif
}
