// SPDX-License-Identifier: Apache-2.0
//
// Where responders are, what is no place, and the request in the form that nginx sends.

import TLSWire
import Testing

@Suite struct ResponderURLTests {
    static let places: [(String, String, UInt16, String)] = [
        ("http://ocsp.example.com", "ocsp.example.com", 80, "/"),
        ("HTTP://ocsp.example.com/", "ocsp.example.com", 80, "/"),
        ("http://ocsp.example.com:8080/a/b", "ocsp.example.com", 8080, "/a/b"),
        ("http://127.0.0.1:65535", "127.0.0.1", 65535, "/"),
        ("http://[::1]/x", "::1", 80, "/x"),
        ("http://[2001:db8::1]:2560", "2001:db8::1", 2560, "/"),
        ("http://a?x=http://b:1/", "a", 80, "/?x=http://b:1/"),
        ("http://a/b:9", "a", 80, "/b:9"),
    ]

    @Test("a URL names host, port and path", arguments: places)
    func place(url: String, address: String, port: UInt16, path: String) throws {
        let place = try ResponderURL(Array(url.utf8))
        #expect(String(decoding: place.address, as: UTF8.self) == address)
        #expect(place.port == port)
        #expect(String(decoding: place.path, as: UTF8.self) == path)
    }

    static let strangers: [(String, ResponderURLFault)] = [
        ("", .prefix), ("http://", .prefix), ("https://a/", .prefix), ("ldap://a/", .prefix), ("ocsp.example.com", .prefix),
        ("http:///x", .noHost), ("http://:80/", .noHost), ("http://?a", .noHost), ("http://a:0/", .port),
        ("http://a:/", .port), ("http://a:65536/", .port), ("http://a:8x/", .port), ("http://a:-1/", .port),
        ("http://[]/", .host), ("http://[::1/", .host), ("http://[::1]x/", .host), ("http://x[::1]/", .host),
        ("http://::1:80/", .host), ("http://user@a/", .host), ("http://a b/", .host),
        ("http://a/\r\nX-Evil: 1", .host), ("http://a/\u{7F}", .host), ("http://é/", .host), ("http://a/\0", .host),
    ]

    @Test("what is no place of a responder is refused by its reason", arguments: strangers)
    func stranger(url: String, fault: ResponderURLFault) {
        #expect(throws: fault) { try ResponderURL(Array(url.utf8)) }
    }

    /// The form is that of ngx_ssl_ocsp_create_request: no port in Host, one slash before the question. The questions are
    /// made of bytes whose base64 has each of the letters that are escaped.
    static let requests: [(String, [UInt8], String)] = [
        (
            "http://127.0.0.1:9080", [0xFB, 0xFF, 0xFE, 0xFF],
            "GET /%2B%2F%2F%2B%2Fw%3D%3D HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"
        ),
        ("http://a.test/ocsp", [1, 2, 3], "GET /ocsp/AQID HTTP/1.0\r\nHost: a.test\r\n\r\n"),
        ("http://a.test/ocsp/", [1, 2], "GET /ocsp/AQI%3D HTTP/1.0\r\nHost: a.test\r\n\r\n"),
        ("http://[::1]:80/", [1], "GET /AQ%3D%3D HTTP/1.0\r\nHost: [::1]\r\n\r\n"),
    ]

    @Test("the question stands in the path, escaped", arguments: requests)
    func request(url: String, question: [UInt8], expected: String) throws {
        let request = try ResponderURL(Array(url.utf8)).request(question)
        #expect(String(decoding: request, as: UTF8.self) == expected)
    }
}
