"""H38-H47: chunked bodies."""

from __future__ import annotations

from wsgikit.testing.vectors.build import aborted, accept, chunked, refuse, variations, vector
from wsgikit.testing.vectors.model import SMUGGLED, Call, Vector

_POST = Call(method="POST", body=b"hello")
_ABORTED = aborted(5)
_END = b"0\r\n\r\n"
_MEGABYTE = bytes(range(256)) * 4096


def _sized(size: bytes, data: bytes = b"hello", end: bytes = _END) -> bytes:
    return chunked(size + b"\r\n" + data + b"\r\n" + end)


def _sizes() -> list[Vector]:
    source = "RFC 9112 7.1"
    wrong = (
        ("hexadecimal-prefix", b"0x5"), ("plus", b"+5"), ("minus", b"-1"), ("leading-space", b" 5"), ("empty", b""),
        ("letter", b"G"), ("underscore", b"1_0"), ("letter-after", b"5g"), ("fraction", b"5.0"), ("comma", b"5,"),
        ("vertical-tab", b"\x0b5"), ("latin-space", b"5\xa0"), ("nul", b"5\x00"),
    )  # fmt: skip
    return [
        *(
            vector(f"H38-{slug}", f"a chunk size: {slug}", _sized(size, b"a" * count),
                   accept(Call(method="POST", body=b"a" * count)), level="MUST", source=source)
            for slug, size, count in (("capital", b"A", 10), ("small", b"a", 10), ("zeros", b"0005", 5))
        ),
        *variations("H39", [(slug, _sized(size) + SMUGGLED) for slug, size in wrong],
                    "a chunk size that is no hexadecimal number", refuse("bad-chunk-size"), *_ABORTED, level="MUST",
                    source=source, note="no further request is read"),
        vector("H39-trailing-space", "a space after a chunk size", _sized(b"5 "),
               refuse("bad-chunk-extension"), *_ABORTED, accept(_POST, persists=None), level="rec", source=source),
        *variations("H40",
                    [("17-digits", _sized(b"FFFFFFFFFFFFFFFF0")), ("past-64-bits", _sized(b"10000000000000005"))],
                    "a chunk size that overflows", refuse("chunk-size-too-large", 413), *_ABORTED, level="MUST",
                    source=source, note="2**64 + 5 must not become 5"),
        vector("H40-padded", "a small chunk size of 17 digits", _sized(b"00000000000000005"),
               refuse("chunk-size-too-large", 413), *_ABORTED, accept(_POST), level="rec", source=source),
    ]  # fmt: skip


def _extensions() -> list[Vector]:
    source = "RFC 9112 7.1.1"
    good = (("token", b"5;a=b"), ("quoted", b'5;a="x;y"'), ("space", b"5 ;a"), ("name", b"5;a"),
            ("two", b"5;a;b=c"), ("spaces", b"5 ; a = b"), ("escape", b'5;a="\\"\\\\"'))  # fmt: skip
    wrong = (("empty", b"5;"), ("bracket", b"5;b[=x"), ("nul", b"5;a=\x00"), ("open-quote", b'5;a="b'),
             ("no-value", b"5;a="), ("comma", b"5;a,b"), ("two-semicolons", b"5;;a"))  # fmt: skip
    lenient = (accept(_POST, persists=None),)
    return [
        *(
            vector(f"H41-{slug}", f"a chunk extension: {slug}", _sized(line), accept(_POST), level="MUST",
                   source=source, note="ignored")
            for slug, line in good
        ),
        vector("H41-64-kilobytes", "a chunk extension of 64 KiB", _sized(b"5;a=" + b"b" * 65536),
               refuse("chunk-line-too-long"), *_ABORTED, *lenient, level="SHOULD", source=source),
        vector("H41-in-many-chunks", "many chunks with a long extension each",
               chunked((b"1;a=" + b"b" * 4000 + b"\r\nx\r\n") * 20 + _END), refuse("chunk-extensions-too-long"),
               *_ABORTED, accept(Call(method="POST", body=b"x" * 20), persists=None), level="SHOULD", source=source,
               note="the total ought to be limited"),
        *variations("H42", [(slug, _sized(line)) for slug, line in wrong],
                    "a chunk extension against its grammar", refuse("bad-chunk-extension"), *_ABORTED, *lenient,
                    level="rec", source=source),
        vector("H42-cr", "CR in a chunk extension", _sized(b"5;a\rb") + SMUGGLED, refuse("bare-cr"), *_ABORTED,
               level="MUST", source=source, note="TERM.EXT and EXT.TERM: what one reader takes for a line end is none "
               "for the other"),
        vector("H42-lf", "LF in a chunk extension", _sized(b"5;a\nb") + SMUGGLED, refuse("bare-lf"), *_ABORTED,
               level="MUST", source=source),
    ]  # fmt: skip


def _ends() -> list[Vector]:
    source = "RFC 9112 7.1"
    lenient = accept(_POST, persists=None)
    return [
        *variations(
            "H43",
            [("data-longer", chunked(b"5\r\nhello!\r\n" + _END)), ("data-shorter", chunked(b"5\r\nhel\r\n" + _END)),
             ("no-crlf", chunked(b"5\r\nhello" + _END)), ("cr-only", chunked(b"5\r\nhello\r" + _END))],
            "a chunk that does not end where it should",
            refuse("bad-chunk-end"),
            *_ABORTED,
            level="MUST",
            source=source,
        ),
        vector("H43-after-last", "junk after the last chunk", chunked(b"5\r\nhello\r\n0\r\nXX\r\n\r\n"),
               refuse("missing-colon"), *_ABORTED, level="SHOULD", source=source),
        *variations(
            "H44",
            [("size", chunked(b"5\nhello\r\n" + _END)), ("data", chunked(b"5\r\nhello\n" + _END)),
             ("last-chunk", chunked(b"5\r\nhello\r\n0\n\r\n")), ("end", chunked(b"5\r\nhello\r\n0\r\n\n")),
             ("all", chunked(b"5\nhello\n0\n\n"))],
            "LF alone in a chunked body",
            refuse("bare-lf"),
            *_ABORTED,
            lenient,
            level="rec",
            source="RFC 9112 7.1, erratum 7633",
        ),
        *(
            vector(f"H45-{slug}", f"the connection ends: {slug.replace('-', ' ')}", chunked(body),
                   refuse("incomplete-body", silent=True), *_ABORTED,
                   level="MUST", source="RFC 9112 8", eof=True, note="incomplete; never complete for the app")
            for slug, body in (("before-last-chunk", b"5\r\nhello\r\n"), ("before-final-crlf", b"5\r\nhello\r\n0\r\n"),
                               ("inside-final-crlf", b"5\r\nhello\r\n0\r\n\r"), ("inside-chunk", b"5\r\nhel"),
                               ("inside-size", b"5"), ("inside-trailers", b"0\r\nX-A: b\r\n"))
        ),
    ]  # fmt: skip


def _trailers() -> list[Vector]:
    forbidden: tuple[tuple[str, bytes, dict[str, str], tuple[str, ...]], ...] = (
        ("content-length", b"Content-Length: 500", {"HTTP_HOST": "example.com"}, ("HTTP_CONTENT_LENGTH",)),
        ("host", b"Host: evil.example", {"HTTP_HOST": "example.com"}, ()),
        ("transfer-encoding", b"Transfer-Encoding: gzip", {}, ()),
        ("authorization", b"Authorization: Basic eDp5", {}, ("HTTP_AUTHORIZATION",)),
    )
    sizes = (1, 2, 3, 0x10, 0xFF, 0x100)
    multi = b"".join(b"%x\r\n%b\r\n" % (size, b"z" * size) for size in sizes) + _END
    large = b"".join(b"10000\r\n%b\r\n" % _MEGABYTE[at : at + 0x10000] for at in range(0, len(_MEGABYTE), 0x10000))
    return [
        *(
            vector(f"H46-{slug}", f"a trailer that is not merged: {slug}",
                   chunked(b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n"),
                   accept(Call(method="POST", body=b"hello", environ=environ, lacks=lacks)), *_ABORTED, level="MUST",
                   source="RFC 9112 7.1.2, RFC 9110 6.5.1")
            for slug, trailer, environ, lacks in forbidden
        ),
        vector("H46-harmless", "a trailer that is not merged either",
               chunked(b"5\r\nhello\r\n0\r\nX-Checksum: 1\r\n\r\n"),
               accept(Call(method="POST", body=b"hello", lacks=("HTTP_X_CHECKSUM",))), level="MUST",
               source="RFC 9110 6.5.1"),
        vector("H46-request", "a trailer section that looks like a request", chunked(b"5\r\nhello\r\n0\r\n" + SMUGGLED),
               refuse("space-before-colon"), *_ABORTED, accept(_POST, persists=None), level="MUST",
               source="RFC 9112 7.1, 7.1.2", note="it belongs to the body; left in the buffer it is smuggled"),
        vector("H46-too-long", "trailers of 70,000 octets",
               chunked(b"0\r\n" + b"X-A: %b\r\n" % (b"a" * 7000) * 10 + b"\r\n"), refuse("trailer-too-long", 431),
               *_ABORTED, accept(Call(method="POST"), persists=None), level="SHOULD", source="RFC 9112 7.1.2"),
        vector("H46-bad-name", "a trailer against the grammar of fields", chunked(b"0\r\nX A: b\r\n\r\n"),
               refuse("space-before-colon"), *_ABORTED, level="SHOULD", source="RFC 9112 7.1.2, CVE-2023-41419"),
        vector("H47-one", "one chunk", chunked(b"5\r\nhello\r\n" + _END), accept(_POST), level="MUST",
               source="RFC 9112 7.1"),
        vector("H47-none", "no content", chunked(_END), accept(Call(method="POST")), level="MUST",
               source="RFC 9112 7.1"),
        vector("H47-several", "chunks of several sizes", chunked(multi),
               accept(Call(method="POST", body=b"z" * sum(sizes))), level="MUST", source="RFC 9112 7.1"),
        vector("H47-line-ends-inside", "content that looks like framing", chunked(b"7\r\n\r\n0\r\n\r\n\r\n" + _END),
               accept(Call(method="POST", body=b"\r\n0\r\n\r\n")), level="MUST", source="RFC 9112 7.1"),
        vector("H47-megabyte", "1 MiB in 16 chunks", chunked(large + _END), accept(Call(method="POST", body=_MEGABYTE)),
               level="MUST", source="RFC 9112 7.1"),
    ]  # fmt: skip


def rows() -> list[Vector]:
    return [*_sizes(), *_extensions(), *_ends(), *_trailers()]
