// SPDX-License-Identifier: Apache-2.0
//
// Imports go downward only. The floors stand here once more, on purpose: moving a module is a decision.

import Foundation
import Testing

@Suite("floors")
struct FloorTests {
    static let leaves: Set<String> = [
        "Vocabulary", "MQTTWire", "TLSWire", "Balancing", "Patterns", "Health", "ProxyConfig", "SessionCore",
    ]
    static let kernel: Set<String> = [
        "LinuxIO", "EventLoop", "SharedState", "ControlLink", "Certificates", "MQTTClient", "TLSEngine",
    ]
    static let planes: Set<String> = ["DataPlane", "ControlPlane", "AdminPlane"]
    static let executables: Set<String> = ["weir", "weirctl"]

    static var modules: [String] { (leaves.union(kernel).union(planes).union(executables)).sorted() }

    @Test("every folder of Sources is on a floor")
    func everyModuleHasAFloor() throws {
        let folders = try FileManager.default.contentsOfDirectory(
            atPath: SourceTree.root.appendingPathComponent("Sources").path)
        #expect(Set(folders) == Set(Self.modules))
    }

    @Test("a leaf imports no operating system, and only leaves", arguments: leaves.sorted())
    func leavesStandAlone(_ module: String) throws {
        for file in try SourceTree.files(below: ["Sources/\(module)"], endings: [".swift"]) {
            for name in try SourceTree.imports(of: file) {
                let isLibrary = module == "Patterns" && name == "CPCRE2"
                #expect(Self.leaves.contains(name) || isLibrary, "\(file) imports \(name)")
            }
        }
    }

    @Test("the kernel floor imports no plane", arguments: kernel.sorted())
    func kernelLooksDown(_ module: String) throws {
        for file in try SourceTree.files(below: ["Sources/\(module)"], endings: [".swift"]) {
            for name in try SourceTree.imports(of: file) {
                #expect(!Self.planes.union(Self.executables).contains(name), "\(file) imports \(name)")
            }
        }
    }

    @Test("planes do not know each other", arguments: planes.sorted())
    func planesAreApart(_ module: String) throws {
        let others = Self.planes.subtracting([module]).union(Self.executables)
        for file in try SourceTree.files(below: ["Sources/\(module)"], endings: [".swift"]) {
            for name in try SourceTree.imports(of: file) {
                #expect(!others.contains(name), "\(file) imports \(name)")
            }
        }
    }

    @Test(
        "nothing that weir links imports Foundation or Dispatch, or is asynchronous",
        arguments: modules.filter { !["weirctl", "AdminPlane"].contains($0) })
    func noThreads(_ module: String) throws {
        let forbidden: Set<String> = ["Foundation", "FoundationEssentials", "Dispatch", "Synchronization"]
        for file in try SourceTree.files(below: ["Sources/\(module)"], endings: [".swift"]) {
            for name in try SourceTree.imports(of: file) {
                #expect(!forbidden.contains(name), "\(file) imports \(name)")
            }
            #expect(!(try SourceTree.text(file)).contains(" await "), "\(file) awaits")
        }
    }
}
