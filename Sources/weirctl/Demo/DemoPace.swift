// SPDX-License-Identifier: Apache-2.0
//
// How fast the demo's world goes round: for people who watch, and for the script, which waits for each thing.

struct DemoPace {
    /// Between two readings of a sensor.
    var readingMilliseconds: UInt64
    /// Between two LEDs that the back office switches.
    var switchingMilliseconds: UInt64

    static let live = DemoPace(readingMilliseconds: 3000, switchingMilliseconds: 4000)
    static let script = DemoPace(readingMilliseconds: 1000, switchingMilliseconds: 250)
}
