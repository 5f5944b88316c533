"""H01-H14: line ends, the request line, and the forms of a target."""

from __future__ import annotations

from wsgikit.testing.vectors.build import HOST, accept, get, message, refuse, refused, reply, variations, vector
from wsgikit.testing.vectors.model import Call, Outcome, Vector

_OK = accept(Call())
_TOO_LONG = 100_000


def _line_ends() -> list[Vector]:
    lf = b"GET / HTTP/1.1\nHost: example.com\n\n"
    cr = "[MUST] invalid or replaced by SP; we refuse"
    return [
        *variations(
            "H01",
            [
                ("request-line", b"GET / HTTP/1.1\nHost: example.com\r\n\r\n"),
                ("field", b"GET / HTTP/1.1\r\nHost: example.com\nX-A: b\r\n\r\n"),
                ("last-line", b"GET / HTTP/1.1\r\nHost: example.com\r\n\n"),
                ("every-line", lf),
            ],
            "LF alone ends a line",
            refuse("bare-lf"),
            accept(Call(), persists=None),
            refused(),
            level="rec",
            source="RFC 9112 2.2",
            note="a server may take LF for a line end; two readers that differ in this see two messages",
        ),
        vector("H02-request-line", "CR alone inside the request line", message(b"GET /\r HTTP/1.1", HOST),
               refuse("bare-cr"), refused(), accept(Call(), persists=None), level="MUST", source="RFC 9112 2.2, 3",
               note=cr + "; or it separates the parts as SP does"),
        vector("H02-after-version", "CR alone behind the version", message(b"GET / HTTP/1.1\rX", HOST),
               refuse("bare-cr"), refused(), level="MUST", source="RFC 9112 2.2", note=cr),
        *variations(
            "H02",
            [("field-name", get(b"X\r-A: b", b"X-After: b")), ("last-line", get(b"\rX", b"X-After: b"))],
            "CR alone inside a field line",
            refuse("bare-cr"),
            refused(),
            accept(Call(environ={"HTTP_X_AFTER": "b"}, lacks=("HTTP_X\r_A", "HTTP_X_A", "HTTP__A")), persists=None),
            level="MUST",
            source="RFC 9112 2.2",
            note=cr + "; dropping the line is lenient, taking CR for its end is not",
        ),
        vector(
            "H02-value",
            "CR alone inside a value",
            get(b"X-A: b\rc"),
            refuse("bare-cr"),
            refused(),
            accept(Call(environ={"HTTP_X_A": "b c"}), persists=None),
            level="MUST",
            source="RFC 9112 2.2, RFC 9110 5.5",
            note=cr,
        ),
    ]  # fmt: skip


def _empty_lines() -> list[Vector]:
    return [
        vector("H03-one", "an empty line before the request line", b"\r\n" + get(), _OK, level="SHOULD",
               source="RFC 9112 2.2"),
        vector("H03-two", "two empty lines before the request line", b"\r\n\r\n" + get(), _OK, refused(),
               level="SHOULD", source="RFC 9112 2.2", note="at least one has to be skipped"),
        vector("H03-three", "three empty lines before the request line", b"\r\n" * 3 + get(),
               refuse("too-many-empty-lines"), _OK, refused(), level="rec", source="RFC 9112 2.2"),
        *variations(
            "H04",
            [
                ("space", b"GET / HTTP/1.1\r\n X-A: b\r\nHost: example.com\r\n\r\n"),
                ("tab", b"GET / HTTP/1.1\r\n\tX-A: b\r\nHost: example.com\r\n\r\n"),
                ("blank", b"GET / HTTP/1.1\r\n \r\nHost: example.com\r\n\r\n"),
            ],
            "white space between the request line and the first field",
            refuse("space-before-first-field"),
            refused(),
            accept(Call(lacks=("HTTP_X_A",)), persists=None),
            level="MUST",
            source="RFC 9112 2.2",
            note="refused, or the lines dropped",
        ),
    ]  # fmt: skip


def _parts() -> list[Vector]:
    lenient = "a server may be lenient about white space; we are not"
    return [
        vector("H05-two-spaces", "two spaces before the target", message(b"GET  / HTTP/1.1", HOST),
               refuse("bad-target"), _OK, refused(), level="MAY", source="RFC 9112 3", note=lenient),
        vector("H05-tab", "HTAB before the target", message(b"GET\t/ HTTP/1.1", HOST),
               refuse("bad-method"), _OK, refused(), level="MAY", source="RFC 9112 3", note=lenient),
        vector("H05-trailing-space", "a space after the version", message(b"GET / HTTP/1.1 ", HOST),
               refuse("bad-request-line"), _OK, refused(), level="MAY", source="RFC 9112 3", note=lenient),
        vector("H05-leading-space", "a space before the method", message(b" GET / HTTP/1.1", HOST),
               refuse("bad-method"), _OK, refused(), level="MAY", source="RFC 9112 3", note=lenient),
        vector("H06-space", "a space in the target", message(b"GET /a b HTTP/1.1", HOST), refuse("bad-version"),
               refused(), refused(301), level="SHOULD", source="RFC 9112 3.2", note="never corrected"),
        *variations(
            "H06",
            [
                (slug, message(b"GET /a" + target + b" HTTP/1.1", HOST))
                for slug, target in (
                    ("fragment", b"#frag"),
                    ("non-ascii", b"\xc3\xa9"),
                    ("nul", b"\x00b"),
                    ("escape", b"\x1bb"),
                    ("del", b"\x7fb"),
                    ("tab", b"\tb"),
                    ("backslash", b"\\b"),
                    ("quote", b'"b'),
                )
            ],
            "a character that no target has",
            refuse("bad-target"),
            refused(),
            refused(301),
            level="SHOULD",
            source="RFC 9112 3.2",
            note="never corrected",
        ),
    ]  # fmt: skip


def _versions() -> list[Vector]:
    source = "RFC 9112 2.2, 2.3"
    return [
        vector("H07-http-0.9", "no version", b"GET /\r\n", refuse("missing-version"), refused(), level="SHOULD",
               source=source),
        *variations(
            "H07",
            [
                (slug, message(b"GET / " + version, HOST))
                for slug, version in (
                    ("no-minor", b"HTTP/1"),
                    ("dot-only", b"HTTP/1."),
                    ("leading-zero", b"HTTP/01.1"),
                    ("lower-case", b"http/1.1"),
                    ("space-inside", b"HTTP/ 1.1"),
                    ("no-slash", b"HTTP 1.1"),
                    ("http-0.9-by-name", b"HTTP/0.9"),
                )
            ],
            "a version that is none",
            refuse("bad-version"),
            refused(),
            level="SHOULD",
            source=source,
        ),
        vector("H07-long-minor", "a minor version of two digits", message(b"GET / HTTP/1.10", HOST),
               refuse("bad-request-line"), refused(), level="SHOULD", source=source),
        vector("H07-binary", "bytes that are no HTTP", b"\x00\x01\x02\xff\xfe\r\n\r\n", refuse("bad-method"), refused(),
               level="SHOULD", source=source),
        vector("H07-tls", "the start of a TLS handshake", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
               refuse("tls-handshake"), refused(), level="SHOULD", source=source),
        vector("H07-http2", "the HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", refuse("http2-preface"),
               refused(), level="SHOULD", source="RFC 9113 3.4"),
        *variations(
            "H08",
            [("http-2.0", message(b"GET / HTTP/2.0", HOST)), ("http-9.9", message(b"GET / HTTP/9.9", HOST))],
            "a major version that nobody serves in this form",
            refuse("unsupported-version", 505),
            refused(),
            level="MAY",
            source="RFC 9110 15.6.6",
        ),
        vector("H08-http-1.2", "a minor version to come", message(b"GET / HTTP/1.2", HOST),
               accept(Call(environ={"SERVER_PROTOCOL": "HTTP/1.1"})), accept(Call(), persists=None), refused(),
               level="SHOULD", source="RFC 9110 6.2", note="treated as 1.1"),
    ]  # fmt: skip


def _methods() -> list[Vector]:
    long_target = b"/" + b"a" * 7985
    return [
        *(
            vector(f"H09-{slug}", "a method that is not registered reaches the app as sent",
                   message(method + b" / HTTP/1.1", HOST), accept(Call(method=method.decode())),
                   refused(501, 405, 400, silent=False), level="SHOULD", source="RFC 9110 9.1",
                   note="methods are case-sensitive; a server that filters answers 501")
            for slug, method in (("lower-case", b"get"), ("unknown", b"FOOBAR"), ("punctuation", b"M-SEARCH"))
        ),
        *variations(
            "H10",
            [(slug, message(method + b" / HTTP/1.1", HOST))
             for slug, method in (("at", b"G@T"), ("slash", b"G/T"), ("colon", b"G:T"), ("high-byte", b"G\xc9T"))],
            "a method that is no token",
            refuse("bad-method"),
            refused(),
            level="SHOULD",
            source="RFC 9112 2.2",
        ),
        vector("H11-target-8000", "a request line of 8000 octets", message(b"GET " + long_target + b" HTTP/1.1", HOST),
               accept(Call(path=long_target.decode())), refused(414, silent=False), level="SHOULD", source="RFC 9112 3",
               note="8000 octets at least are recommended"),
        vector("H11-target-too-long", "a target of 100,000 octets",
               message(b"GET /" + b"a" * _TOO_LONG + b" HTTP/1.1", HOST), refuse("request-line-too-long", 414),
               accept(Call(path=None), persists=None), refused(414, 431, 400), level="MUST", source="RFC 9112 3"),
        vector("H11-method-too-long", "a method of 100,000 octets", message(b"G" * _TOO_LONG + b" / HTTP/1.1", HOST),
               refuse("method-too-long", 501), refused(), accept(Call(method=None), persists=None), level="SHOULD",
               source="RFC 9112 3"),
    ]  # fmt: skip


def _absolute_form() -> list[Vector]:
    source = "RFC 9112 3.2.2"
    wins = accept(Call(path="/x", environ={"HTTP_HOST": "b"}))
    return [
        vector("H12-host-differs", "the authority of the target wins over Host",
               message(b"GET http://b/x HTTP/1.1", b"Host: a"), wins, level="MUST", source=source),
        vector("H12-no-path", "a URI without a path", message(b"GET http://b HTTP/1.1", b"Host: a"),
               accept(Call(environ={"HTTP_HOST": "b"})), level="MUST", source=source),
        vector("H12-query-without-path", "a URI with a query and no path",
               message(b"GET http://b?q=1 HTTP/1.1", b"Host: a"), accept(Call(query="q=1", environ={"HTTP_HOST": "b"})),
               level="MUST", source=source),
        vector("H12-port-and-query", "a URI with a port and a query",
               message(b"GET http://b:8080/x?q=1?2 HTTP/1.1", b"Host: b:8080"),
               accept(Call(path="/x", query="q=1?2", environ={"HTTP_HOST": "b:8080"})), level="MUST", source=source),
        vector("H12-scheme-case", "a scheme in capitals", message(b"GET HTTP://b/x HTTP/1.1", b"Host: b"), wins,
               level="MUST", source=source + ", RFC 3986 3.1"),
        vector("H12-http-1.0", "HTTP/1.0 without Host", message(b"GET http://b/x HTTP/1.0"),
               accept(Call(path="/x", environ={"HTTP_HOST": "b"}), persists=False), level="MUST", source=source),
        *variations(
            "H12",
            [(slug, message(b"GET " + target + b" HTTP/1.1", HOST))
             for slug, target in (("user-information", b"http://u:p@b/x"), ("no-host", b"http:///x"),
                                  ("other-scheme", b"ftp://b/x"), ("relative", b"x/y"), ("one-slash", b"http:/x"))],
            "a URI that this server has nothing to do with",
            refuse("bad-target"),
            refused(),
            refused(301),
            level="SHOULD",
            source="RFC 9112 3.2, RFC 9110 4.2",
        ),
    ]  # fmt: skip


def _other_forms() -> list[Vector]:
    anything = Outcome(replies=(reply(*range(200, 600)),), calls=(Call(method="OPTIONS", path=None),))
    server_wide = Outcome(replies=(reply(204),), persists=True)
    # The parser accepts CONNECT; the server has no tunnel unless its listener allows takeover.
    no_tunnel = Outcome(replies=(reply(501),))
    return [
        vector("H13-options", "the asterisk form", message(b"OPTIONS * HTTP/1.1", HOST),
               server_wide, anything, refused(silent=False), level="MUST", source="RFC 9112 3.2.4",
               note="a final response of any kind; ours answers for itself: PEP 3333 has no PATH_INFO for it"),
        vector("H13-options-uri", "OPTIONS on a URI without a path is the asterisk form",
               message(b"OPTIONS http://example.com HTTP/1.1", HOST), server_wide,
               anything, refused(silent=False), level="MUST", source="RFC 9112 3.2.4"),
        vector("H13-get", "the asterisk form with another method", message(b"GET * HTTP/1.1", HOST),
               refuse("bad-target"), refused(), level="SHOULD", source="RFC 9112 3.2.4"),
        vector("H14-connect", "CONNECT", message(b"CONNECT h:443 HTTP/1.1", b"Host: h:443"), no_tunnel,
               refused(), accept(Call(method="CONNECT", path=None), persists=None), level="MAY",
               source="RFC 9110 9.3.6", note="an origin server may refuse it"),
        *variations(
            "H14",
            [(slug, message(b"CONNECT " + target + b" HTTP/1.1", b"Host: h"))
             for slug, target in (("port-too-large", b"h:99999"), ("port-empty", b"h:"), ("port-missing", b"h"),
                                  ("port-no-number", b"h:x"), ("path", b"/"))],
            "CONNECT without a host and a port",
            refuse("bad-target"),
            refused(),
            level="MUST",
            source="RFC 9110 9.3.6",
        ),
        vector("H14-get", "the authority form with another method", message(b"GET h:443 HTTP/1.1", b"Host: h:443"),
               refuse("bad-target"), refused(), level="SHOULD", source="RFC 9112 3.2.3"),
    ]  # fmt: skip


def rows() -> list[Vector]:
    return [*_line_ends(), *_empty_lines(), *_parts(), *_versions(), *_methods(), *_absolute_form(), *_other_forms()]
