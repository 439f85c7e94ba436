// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
//
// Weir: the package. Four floors, imports only downward: leaves (no operating system), kernel (typed system calls,
// the ring, the shared region), planes (worker, master and prober), executables. HygieneTests hold the order.

import PackageDescription

let swift: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]
let c: [CSetting] = [
    .treatAllWarnings(as: .error),
    .enableWarning("all"),
    .enableWarning("extra"),
    .define("_GNU_SOURCE"),
]

/// A C target in `CSources`.
func cTarget(_ name: String, libraries: [String] = []) -> Target {
    .target(name: name, path: "CSources/\(name)", cSettings: c, linkerSettings: libraries.map { .linkedLibrary($0) })
}

/// A Swift target in `Sources`.
func library(
    _ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource]? = nil
) -> Target {
    .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: swift)
}

/// A test target in `Tests`, mirroring the target it tests.
func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource]? = nil) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, resources: resources, swiftSettings: swift)
}

let package = Package(
    name: "weir",
    products: [
        .executable(name: "weir", targets: ["weir"]),
        .executable(name: "weirctl", targets: ["weirctl"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0", traits: []),
        .package(url: "https://github.com/apple/swift-nio", from: "2.100.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    ],
    targets: [
        // C: what Swift cannot say.
        cTarget("CLinux"),
        cTarget("CUring", libraries: ["uring"]),
        cTarget("CShared"),
        cTarget("CPCRE2", libraries: ["pcre2-8"]),
        cTarget("CCertificates", libraries: ["crypto"]),
        cTarget("CEpoll"),
        cTarget("CTLS", libraries: ["ssl", "crypto"]),
        cTarget("CPasswords", libraries: ["crypt", "crypto"]),

        // Leaves: no operating system; bytes, time and chance are arguments.
        library("Vocabulary"),
        library("MQTTWire", ["Vocabulary"]),
        library("TLSWire"),
        library("Balancing", ["Vocabulary"]),
        library("Patterns", ["CPCRE2", "Vocabulary"]),
        library("Health", ["Vocabulary", "Patterns"]),
        library("ProxyConfig", ["Vocabulary", "Patterns", "TLSWire"]),
        library("SessionCore", ["Vocabulary"]),

        // Kernel: the only floor that knows Linux.
        library("LinuxIO", ["CLinux", "Vocabulary"]),
        library("EventLoop", ["CUring", "CLinux", "LinuxIO", "Vocabulary"]),
        library("SharedState", ["CShared", "CLinux", "LinuxIO", "Vocabulary"]),
        library("ControlLink", ["ProxyConfig", "LinuxIO", "CLinux", "Vocabulary"]),
        library("TLSEngine", ["CTLS", "ProxyConfig"]),
        library("Certificates", ["CCertificates"]),
        library("MQTTClient", ["MQTTWire", "TLSEngine", "LinuxIO", "Vocabulary"]),

        // Planes: none imports another.
        library(
            "DataPlane",
            [
                "Vocabulary", "MQTTWire", "TLSWire", "TLSEngine", "Balancing", "Patterns", "ProxyConfig", "SessionCore",
                "LinuxIO", "EventLoop", "SharedState", "CShared", "ControlLink", "CLinux",
            ]),
        library(
            "ControlPlane",
            [
                "Vocabulary", "Patterns", "Health", "ProxyConfig", "LinuxIO", "SharedState", "ControlLink", "CLinux",
                "TLSEngine", "TLSWire",
            ]),

        library(
            "AdminPlane",
            [
                "CPasswords", "Vocabulary", "Balancing", "Patterns", "ProxyConfig", "LinuxIO", "SharedState",
                "ControlLink",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ], resources: [.embedInCode("Dashboard/Page"), .embedInCode("API/openapi.json")]),

        // Executables.
        .executableTarget(
            name: "weir",
            dependencies: ["ControlPlane", "DataPlane", "ProxyConfig", "LinuxIO", "SharedState", "Vocabulary"],
            swiftSettings: swift),
        .executableTarget(
            name: "weirctl",
            dependencies: [
                "AdminPlane", "Certificates", "ControlPlane", "MQTTClient", "MQTTWire", "ProxyConfig", "TLSEngine",
                "LinuxIO", "SharedState", "Vocabulary",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ], swiftSettings: swift),

        // Measurement: not part of what is installed.
        .target(
            name: "Fleet",
            dependencies: [
                "CEpoll", "LinuxIO", "MQTTWire", "ProxyConfig", "TLSEngine", "Vocabulary",
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ], path: "Perf/Fleet", swiftSettings: swift),
        .executableTarget(
            name: "weir-perf",
            dependencies: [
                "Fleet", "LinuxIO", "Vocabulary", .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ], path: "Perf/Scenarios", swiftSettings: swift),
        .executableTarget(
            name: "weir-micro", dependencies: ["AdminPlane", "LinuxIO", "ProxyConfig", "SharedState", "Vocabulary"],
            path: "Perf/Micro", swiftSettings: swift),

        // Tests, each mirroring its target.
        tests("MQTTWireTests", ["MQTTWire"]),
        tests("BalancingTests", ["Balancing"], resources: [.copy("Fixtures")]),
        tests("PatternsTests", ["Patterns"]),
        tests("HealthTests", ["Health", "Patterns"]),
        tests(
            "ControlPlaneTests",
            [
                "ControlPlane", "ControlLink", "CShared", "Health", "LinuxIO", "ProxyConfig", "SharedState",
                "TLSEngine", "TestSupport", "Vocabulary",
            ]),
        tests(
            "MQTTClientTests",
            ["Certificates", "MQTTClient", "MQTTWire", "ProxyConfig", "TLSEngine", "LinuxIO", "Vocabulary"]),
        tests(
            "AdminPlaneTests",
            [
                "AdminPlane", "ControlLink", "LinuxIO", "ProxyConfig", "SharedState", "TestSupport", "Vocabulary",
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "HTTPTypes", package: "swift-http-types"),
            ]),
        tests("WeirctlTests", ["weirctl", "AdminPlane", "LinuxIO", "ProxyConfig", "Vocabulary"]),
        .target(
            name: "TestSupport", dependencies: ["MQTTWire", "CLinux", "CTestTLS"], path: "Tests/TestSupport",
            swiftSettings: swift),
        .testTarget(
            name: "HygieneTests", dependencies: ["TestSupport", "weir"], path: "Tests/Hygiene", swiftSettings: swift),
        tests("ProxyConfigTests", ["ProxyConfig", "Patterns", "TLSWire", "Vocabulary"]),
        tests(
            "PerfTests",
            ["Fleet", "TestSupport", "Vocabulary", .product(name: "Histogram", package: "hdrhistogram-swift")]),
        .testTarget(
            name: "EndToEndTests", dependencies: ["TestSupport", "MQTTWire", "Vocabulary", "weir"],
            path: "Tests/EndToEnd", swiftSettings: swift),
        .testTarget(
            name: "SimulationTests",
            dependencies: [
                "CTestTLS", "Certificates", "DataPlane", "ControlLink", "EventLoop", "LinuxIO", "MQTTWire", "ProxyConfig",
                "SessionCore", "SharedState", "TLSEngine", "Vocabulary",
            ], path: "Tests/Simulation", swiftSettings: swift),
        tests("SessionCoreTests", ["SessionCore", "Vocabulary"]),
        tests("EventLoopTests", ["EventLoop", "LinuxIO"]),
        tests(
            "DataPlaneTests",
            [
                "DataPlane", "ControlLink", "CShared", "LinuxIO", "ProxyConfig", "SharedState", "TLSEngine", "Vocabulary",
            ]),
        .target(
            name: "CTestTLS", path: "Tests/CTestTLS", cSettings: c,
            linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
        tests("TLSEngineTests", ["TLSEngine", "ProxyConfig", "TestSupport", "Vocabulary", "CTestTLS"]),
        tests("TLSWireTests", ["TLSWire", "Vocabulary"]),
        tests("ControlLinkTests", ["ControlLink", "LinuxIO", "Vocabulary"]),
        tests("SharedStateTests", ["SharedState", "CShared", "LinuxIO", "Vocabulary"]),
    ]
)
