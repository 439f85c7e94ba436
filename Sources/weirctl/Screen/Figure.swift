// SPDX-License-Identifier: Apache-2.0
//
// Numbers for people: as short as a column wants them.

enum Figure {
    /// `999`, `1.2k`, `34k`, `5.6M`: in thousands.
    static func count(_ value: UInt64) -> String { scaled(value, by: 1000, ["", "k", "M", "G", "T", "P", "E"]) }

    /// `999 B`, `1.2 KiB`: in steps of 1024.
    static func bytes(_ value: UInt64) -> String {
        scaled(value, by: 1024, [" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"])
    }

    /// `850ms`, `12s`, `5m30s`, `3h12m`, `2d4h`.
    static func duration(_ milliseconds: UInt64) -> String {
        let seconds = milliseconds / 1000
        return switch seconds {
        case 0: "\(milliseconds)ms"
        case ..<60: "\(seconds)s"
        case ..<3600: "\(seconds / 60)m\(seconds % 60)s"
        case ..<86_400: "\(seconds / 3600)h\(seconds / 60 % 60)m"
        default: "\(seconds / 86_400)d\(seconds / 3600 % 24)h"
        }
    }

    private static func scaled(_ value: UInt64, by step: UInt64, _ units: [String]) -> String {
        var whole = value
        var rest: UInt64 = 0
        var unit = 0
        while whole >= step {
            (whole, rest) = (whole / step, whole % step)
            unit += 1
        }
        return unit == 0 || whole >= 10 ? "\(whole)\(units[unit])" : "\(whole).\(rest * 10 / step)\(units[unit])"
    }
}
