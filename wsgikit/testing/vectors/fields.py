"""H15-H24: Host, and the grammar, spacing and number of field lines."""

from __future__ import annotations

from wsgikit.testing.vectors.build import HOST, accept, get, message, refuse, refused, variations, vector
from wsgikit.testing.vectors.model import Call, Vector

_OK = accept(Call())
_GET = b"GET / HTTP/1.1"


def _host() -> list[Vector]:
    source = "RFC 9112 3.2"
    must = refused(400, silent=False)
    return [
        vector("H15-missing", "HTTP/1.1 without Host", message(_GET), refuse("missing-host"), must, level="MUST",
               source=source),
        vector("H15-missing-absolute", "a URI as target does not replace Host", message(b"GET http://b/ HTTP/1.1"),
               refuse("missing-host"), must, level="MUST", source=source),
        *variations(
            "H15",
            [("two-equal", message(_GET, HOST, HOST)), ("two-different", message(_GET, b"Host: a", b"Host: b")),
             ("two-cases", message(_GET, b"Host: a", b"hOST: b")), ("two-empty", message(_GET, b"Host:", b"Host:"))],
            "Host given twice",
            refuse("repeated-host"),
            must,
            level="MUST",
            source=source,
        ),
        *variations(
            "H15",
            [(slug, message(_GET, b"Host: " + value))
             for slug, value in (("space", b"a b"), ("user-information", b"u@a"), ("path", b"a/p"),
                                 ("port-no-number", b"a:x"), ("quote", b'a"b'),
                                 ("percent", b"a%zz"), ("high-byte", b"a\xe9"), ("port-only", b":80"),
                                 ("bracket-open", b"[::1"), ("bracket-name", b"[a]"), ("address-6-bare", b"::1"))],
            "Host with an invalid value",
            refuse("bad-host"),
            must,
            level="MUST",
            source=source,
        ),
        *variations(
            "H15",
            [("list", message(_GET, b"Host: a,b")), ("port-too-large", message(_GET, b"Host: a:65536"))],
            "Host with a value that is valid and means nothing",
            refuse("bad-host"),
            refused(),
            _OK,
            level="rec",
            source=source + ", RFC 3986 3.2",
            note="a comma is what two joined Host lines give; the grammar of a port has no upper limit",
        ),
        *(
            vector(f"H15-good-{slug}", f"Host with a valid value: {slug}", message(_GET, b"Host: " + value),
                   accept(Call(environ={"HTTP_HOST": value.decode()})), level="MUST", source=source)
            for slug, value in (("address-6", b"[2001:db8::1]:8080"), ("address-4", b"127.0.0.1:80"),
                                ("port-empty", b"a:"), ("underscore", b"my_app"), ("percent", b"a%20b"))
        ),
        vector("H16-empty", "an empty Host", message(_GET, b"Host:"), accept(Call(environ={"HTTP_HOST": ""})),
               accept(Call()), refused(), level="MAY", source="RFC 9112 3.3",
               note="a server may have a default; it is not an error in itself"),
        vector("H16-http-1.0", "HTTP/1.0 without Host", message(b"GET / HTTP/1.0"),
               accept(Call(lacks=("HTTP_HOST",)), persists=False), level="MUST", source="RFC 9112 3.3"),
    ]  # fmt: skip


def _names() -> list[Vector]:
    folded = accept(Call(environ={"HTTP_X_A": "b c"}), persists=None)
    return [
        *variations(
            "H17",
            [("space", get(b"X-A : b")), ("tab", get(b"X-A\t: b")), ("host", message(_GET, b"Host : a")),
             ("content-length", get(b"Content-Length : 5", body=b"hello")),
             ("transfer-encoding", get(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"))],
            "white space before the colon",
            refuse("space-before-colon"),
            refused(400, silent=False),
            level="MUST",
            source="RFC 9112 5.1",
        ),
        *(
            vector(f"H18-{slug}", f"a folded line: {slug}", get(b"X-A: b\r\n" + fold + b"c"), refuse("obs-fold"),
                   refused(), folded, level="MUST", source="RFC 9112 5.2, RFC 3875 4.1.18",
                   note="refused, or replaced by SP")
            for slug, fold in (("space", b" "), ("tab", b"\t"), ("several", b" \t "))
        ),
        vector("H18-transfer-encoding", "a folded Transfer-Encoding",
               get(b"Transfer-Encoding:\r\n chunked", body=b"5\r\nhello\r\n0\r\n\r\n"), refuse("obs-fold"), refused(),
               accept(Call(body=b"hello"), persists=None), level="MUST", source="RFC 9112 5.2",
               note="refused, or read as chunked; never as a request without a body"),
        vector("H19-no-colon", "a line without a colon", get(b"X-A"), refuse("missing-colon"), refused(),
               level="SHOULD", source="RFC 9112 2.2"),
        *variations(
            "H19",
            [("empty-name", get(b": b")), ("bracket", get(b"Bad[: b")), ("high-byte", get(b"X\xe9: b")),
             ("nul", get(b"X\x00A: b")), ("del", get(b"X\x7fA: b")), ("quote", get(b'"X": b'))],
            "a field name that is no token",
            refuse("bad-field-name"),
            refused(),
            level="SHOULD",
            source="RFC 9112 2.2, RFC 9110 5.1",
        ),
        vector("H19-space", "a space inside a field name", get(b"X Y: b"), refuse("space-before-colon"), refused(),
               level="SHOULD", source="RFC 9112 2.2, RFC 9110 5.1"),
    ]  # fmt: skip


def _values() -> list[Vector]:
    opaque = bytes(range(0x80, 0x100))
    return [
        vector("H20-nul", "NUL in a value", get(b"X-A: b\x00c"), refuse("bad-field-value"), refused(),
               accept(Call(environ={"HTTP_X_A": "b c"}), persists=None), level="MUST", source="RFC 9110 5.5",
               note="refused, or replaced by SP"),
        *variations(
            "H20",
            [(slug, get(b"X-A: b" + byte + b"c"))
             for slug, byte in (("start-of-heading", b"\x01"), ("backspace", b"\x08"), ("vertical-tab", b"\x0b"),
                                ("form-feed", b"\x0c"), ("escape", b"\x1b"), ("unit-separator", b"\x1f"),
                                ("del", b"\x7f"))],
            "a control character in a value",
            refuse("bad-field-value"),
            refused(),
            accept(Call(), persists=None),
            level="rec",
            source="RFC 9110 5.5",
            note="invalid; a server may keep it",
        ),
        vector("H21-latin", "bytes above 0x7F are opaque", get(b"X-A: caf\xe9"),
               accept(Call(environ={"HTTP_X_A": "caf\xe9"})), refused(), level="SHOULD", source="RFC 9110 5.5"),
        vector("H21-all", "every byte above 0x7F", get(b"X-A: " + opaque),
               accept(Call(environ={"HTTP_X_A": opaque.decode("latin-1")})), refused(), level="SHOULD",
               source="RFC 9110 5.5"),
        vector("H22-spaces", "SP and HTAB around a value are not part of it", get(b"X-A: \t b \tc\t "),
               accept(Call(environ={"HTTP_X_A": "b \tc"})), level="MUST", source="RFC 9110 5.6.3"),
        vector("H22-none", "no space around a value", get(b"X-A:b"), accept(Call(environ={"HTTP_X_A": "b"})),
               level="MUST", source="RFC 9110 5.6.3"),
        vector("H22-latin-spaces", "what Latin-1 calls a space is part of a value", get(b"X-A: \xa0b\x85"),
               accept(Call(environ={"HTTP_X_A": "\xa0b\x85"})), refused(), level="SHOULD", source="RFC 9110 5.5",
               note="a recipient should treat them as opaque"),
        vector("H22-vertical-tab", "a vertical tab is no white space", get(b"X-A: \x0bb"), refuse("bad-field-value"),
               refused(), accept(Call(environ={"HTTP_X_A": "\x0bb"}), persists=None), level="rec",
               source="RFC 9110 5.5, 5.6.3"),
        *variations(
            "H22",
            [("length-latin-space", get(b"Content-Length: \xa05", body=b"hello")),
             ("length-next-line", get(b"Content-Length: 5\x85", body=b"hello"))],
            "what Latin-1 calls a space beside a length",
            refuse("bad-content-length"),
            refused(400, silent=False),
            level="MUST",
            source="RFC 9112 6.3",
        ),
        *variations(
            "H22",
            [("length-vertical-tab", get(b"Content-Length: \x0b5", body=b"hello")),
             ("length-form-feed", get(b"Content-Length: 5\x0c", body=b"hello"))],
            "a control character beside a length",
            refuse("bad-field-value"),
            refused(400, silent=False),
            level="MUST",
            source="RFC 9112 6.3",
        ),
    ]  # fmt: skip


def _sizes() -> list[Vector]:
    long_field = b"X-A: " + b"a" * 70_000
    many = [b"X-%d: a" % number for number in range(2000)]
    large = [b"X-%d: " % number + b"a" * 1000 for number in range(90)]
    shown = accept(Call(environ={"HTTP_X_A": "a" * 70_000}), persists=None)
    return [
        vector("H23-field-too-long", "a field line of 70,000 octets", get(long_field), refuse("field-too-long", 431),
               refused(), shown, level="MUST", source="RFC 9110 5.4", note="a 4xx, or the whole field; never less"),
        vector("H23-too-many-fields", "2,000 field lines", get(*many), refuse("too-many-fields", 431), refused(),
               accept(Call(environ={"HTTP_X_1999": "a"}), persists=None), level="MUST", source="RFC 9110 5.4"),
        vector("H23-head-too-long", "90 field lines of 1,000 octets", get(*large), refuse("head-too-long", 431),
               refused(), accept(Call(environ={"HTTP_X_89": "a" * 1000}), persists=None), level="MUST",
               source="RFC 9110 5.4"),
        vector("H24-content-length", "Content_Length frames nothing", get(b"Content_Length: 9"),
               accept(Call(lacks=("CONTENT_LENGTH", "HTTP_CONTENT_LENGTH"))), refused(), level="rec",
               source="CVE-2015-0219", note="no alias in environ: the names of CGI make one of the two"),
        vector("H24-transfer-encoding", "Transfer_Encoding frames nothing", get(b"Transfer_Encoding: chunked"),
               accept(Call(lacks=("HTTP_TRANSFER_ENCODING",))), refused(), level="rec", source="CVE-2015-0219"),
        vector("H24-alias", "X_User does not pass for X-User", get(b"X_User: evil", b"X-User: good", b"X_User: worse"),
               accept(Call(environ={"HTTP_X_USER": "good"})), refused(), level="rec", source="CVE-2015-0219"),
        vector("H24-alias-alone", "X_User alone does not pass for X-User", get(b"X_User: evil"),
               accept(Call(lacks=("HTTP_X_USER",))), refused(), level="rec", source="CVE-2015-0219"),
    ]  # fmt: skip


def rows() -> list[Vector]:
    return [*_host(), *_names(), *_values(), *_sizes()]
