"""H25-H37: Content-Length and Transfer-Encoding."""

from __future__ import annotations

from wsgikit.testing.vectors.build import (
    HOST,
    aborted,
    accept,
    chunked,
    get,
    message,
    post,
    refuse,
    refused,
    variations,
    vector,
)
from wsgikit.testing.vectors.model import SMUGGLED, App, Call, Vector

_HELLO = b"5\r\nhello\r\n0\r\n\r\n"
_POST = Call(method="POST", body=b"hello")
_MUST = refused(400, silent=False)
_BOTH = "content-length-with-transfer-encoding"


def _with_length(value: bytes, body: bytes = b"hello") -> bytes:
    return post(b"Content-Length: " + value, body=body)


def _coded(value: bytes, body: bytes = _HELLO) -> bytes:
    return post(b"Transfer-Encoding: " + value, body=body)


def _length_values() -> list[Vector]:
    wrong = (
        ("plus", b"+5"), ("minus", b"-1"), ("minus-zero", b"-0"), ("hexadecimal", b"0x5"), ("octal", b"0o5"),
        ("underscore", b"1_0"), ("letter", b"5a"), ("space-inside", b"1 0"), ("empty", b""), ("fraction", b"5.0"),
        ("exponent", b"1e1"), ("quoted", b'"5"'), ("arabic-digit", b"\xd9\xa5"), ("superscript", b"\xb2"),
        ("semicolon", b"5;"),
    )  # fmt: skip
    zeros = "decimal in spite of its zeros"
    return [
        *variations("H25", [(slug, _with_length(value)) for slug, value in wrong], "Content-Length that is no number",
                    refuse("bad-content-length"), _MUST, level="MUST", source="RFC 9112 6.3"),
        vector("H26-list-equal", "the same length twice in one line", _with_length(b"5, 5"),
               refuse("bad-content-length"), refused(), accept(_POST), level="rec", source="RFC 9110 8.6",
               note="refused, or read as one"),
        vector("H26-lines-equal", "the same length in two lines",
               post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"), refuse("repeated-content-length"),
               refused(), accept(_POST), level="rec", source="RFC 9110 8.6", note="refused, or read as one"),
        vector("H26-list-differs", "two lengths in one line", _with_length(b"5, 6"), refuse("bad-content-length"),
               _MUST, level="MUST", source="RFC 9112 6.3"),
        *variations(
            "H26",
            [("lines-differ", post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!")),
             ("lines-differ-in-zeros", post(b"Content-Length: 5", b"content-length: 05", body=b"hello"))],
            "two lengths in two lines",
            refuse("repeated-content-length"),
            _MUST,
            level="MUST",
            source="RFC 9112 6.3",
        ),
        vector("H27-005", zeros, _with_length(b"005"), accept(_POST), refused(), level="SHOULD", source="RFC 9110 8.6"),
        vector("H27-0200", zeros, _with_length(b"0200", b"a" * 200), accept(Call(method="POST", body=b"a" * 200)),
               refused(), level="SHOULD", source="RFC 9110 8.6", note="not octal"),
        *variations(
            "H28",
            [("20-digits", _with_length(b"9" * 20, b"")), ("past-64-bits", _with_length(b"18446744073709551621"))],
            "a length that overflows",
            refuse("content-length-too-large", 413),
            refused(),
            level="MUST",
            source="RFC 9110 8.6",
            note="2**64 + 5 must not become 5",
        ),
        vector("H29-short", "fewer bytes than the length says", _with_length(b"9"),
               refuse("incomplete-body", silent=True), *aborted(9), level="MUST", source="RFC 9112 6.3, 8", eof=True,
               note="an app that runs gets an error or a short read"),
        vector("H29-nothing", "no byte of the body", _with_length(b"9", b""), refuse("incomplete-body", silent=True),
               *aborted(9), level="MUST", source="RFC 9112 6.3, 8", eof=True),
        *(
            vector(f"H30-{method.lower()}", f"{method} with a body, and the next request",
                   message(method.encode() + b" / HTTP/1.1", HOST, b"Content-Length: 5", body=b"hello")
                   + message(b"GET /next HTTP/1.1", HOST),
                   accept(Call(method=method, body=b"hello"), Call(path="/next")), refused(), level="MUST",
                   source="RFC 9110 9.3.1", note="framing does not depend on the method", app=app)
            # What becomes of a body that the app gives to HEAD is the matter of another row.
            for method, app in (("GET", None), ("HEAD", App(blocks=(b"",))), ("OPTIONS", None), ("DELETE", None),
                                ("TRACE", None))
        ),
    ]  # fmt: skip


def _both() -> list[Vector]:
    coding, length = b"Transfer-Encoding: chunked", b"Content-Length: "
    smuggled_size = b"%d" % (len(b"0\r\n\r\n") + len(SMUGGLED))
    cases = (
        ("length-first", post(length + b"5", coding, body=_HELLO), b"hello"),
        ("coding-first", post(coding, length + b"5", body=_HELLO), b"hello"),
        ("smuggled-get", post(length + smuggled_size, coding, body=b"0\r\n\r\n" + SMUGGLED), b""),
        ("smuggled-head", post(coding, length + smuggled_size, body=b"0\r\n\r\n" + SMUGGLED.replace(b"GET", b"HEAD")),
         b""),
        ("leftover", post(length + b"6", coding, body=b"0\r\n\r\nX"), b""),
        ("length-zero", post(length + b"0", coding, body=_HELLO), b"hello"),
        ("wrong-length", post(length + b"x", coding, body=_HELLO), b"hello"),
    )  # fmt: skip
    return [
        vector(f"H31-{slug}", "a length and a coding: " + slug.replace("-", " "), raw, refuse(_BOTH), refused(),
               accept(Call(method="POST", body=body), persists=False), level="MUST", source="RFC 9112 6.1",
               note="refused, or the coding alone counts; the connection ends either way")
        for slug, raw, body in cases
    ]  # fmt: skip


def _codings() -> list[Vector]:
    old = message(b"POST / HTTP/1.0", HOST, b"Transfer-Encoding: chunked", body=_HELLO)
    old_kept = message(b"POST / HTTP/1.0", HOST, b"Connection: keep-alive", b"Transfer-Encoding: chunked", body=_HELLO)
    decoded_or_not = (accept(_POST, persists=False), accept(Call(method="POST", body=_HELLO), persists=False),
                      accept(Call(method="POST"), persists=False))  # fmt: skip
    unknown = ("gzip", "xchunked", "identity", "blegh", "deflate")
    controls = (("vertical-tab", b"\x0bchunked"), ("nul", b"chunked\x00"), ("form-feed", b"chunked\x0c"))
    empties = (("comma-first", b", chunked"), ("comma-last", b"chunked,"), ("commas", b" ,\t, chunked ,,"))
    return [
        *variations("H32", [("plain", old), ("keep-alive", old_kept)], "a transfer coding in HTTP/1.0",
                    refuse("transfer-encoding-in-http-1.0"), refused(), *decoded_or_not, level="MUST",
                    source="RFC 9112 6.1", note="its framing is faulty, so that the connection must end"),
        *variations("H33", [(coding, _coded(coding.encode())) for coding in unknown], "a coding that is not understood",
                    refuse("unsupported-transfer-coding", 501), refused(501, 400), level="SHOULD",
                    source="RFC 9112 6.1, 6.3"),
        vector("H33-empty", "an empty Transfer-Encoding", _coded(b""), refuse("bad-transfer-encoding"), refused(),
               level="SHOULD", source="RFC 9112 6.1, 6.3"),
        *variations("H34", [("gzip", _coded(b"chunked, gzip")), ("identity", _coded(b"chunked, identity"))],
                    "chunked is not the last coding", refuse("bad-transfer-encoding"), refused(400, 501), level="MUST",
                    source="RFC 9112 6.3"),
        vector("H35-gzip-chunked", "a coding below chunked", _coded(b"gzip, chunked"),
               refuse("unsupported-transfer-coding", 501), refused(), accept(_POST, persists=None), level="SHOULD",
               source="RFC 9112 6.1"),
        *variations("H35", [("twice", _coded(b"chunked, chunked")), ("parameter", _coded(b"chunked;q=1"))],
                    "chunked, but not as it may be", refuse("bad-transfer-encoding"), refused(), level="MUST",
                    source="RFC 9112 6.1, 7.1"),
        *variations(
            "H35",
            [("two-lines", post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=_HELLO)),
             ("two-lines-differ", post(b"Transfer-Encoding: chunked", b"transfer-encoding: identity", body=_HELLO))],
            "two Transfer-Encoding lines",
            refuse("repeated-transfer-encoding"),
            refused(),
            level="MUST",
            source="RFC 9112 6.1",
        ),
        *(
            vector(f"H36-{slug}", "another way to write chunked", _coded(value), accept(_POST), refused(),
                   level="MUST", source="RFC 9112 7, RFC 9110 5.6.1.2", note="never a request without a body")
            for slug, value in (("capital", b"Chunked"), ("capitals", b"CHUNKED"), ("space", b"chunked \t"), *empties)
        ),
        *variations("H37", [(slug, _coded(value)) for slug, value in controls], "a control character beside chunked",
                    refuse("bad-field-value"), refused(), level="rec", source="RFC 9110 5.5"),
        *variations("H37", [("latin-space", _coded(b"\xa0chunked")), ("next-line", _coded(b"chunked\x85")),
                            ("quoted", _coded(b'"chunked"'))],
                    "what is no token beside chunked", refuse("bad-transfer-encoding"), refused(), level="rec",
                    source="RFC 9110 5.5"),
        vector("H37-get", "a coded GET has a body too", get(b"Transfer-Encoding: chunked", body=_HELLO),
               accept(Call(body=b"hello")), refused(), level="MUST", source="RFC 9110 9.3.1"),
        vector("H37-next", "the request after a chunked one", chunked(_HELLO) + get(), accept(_POST, Call()),
               level="MUST", source="RFC 9112 9.3"),
    ]  # fmt: skip


def rows() -> list[Vector]:
    return [*_length_values(), *_both(), *_codings()]
