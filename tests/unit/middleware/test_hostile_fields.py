"""Request fields with anything in them: no layer fails, and no answer breaks HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from wsgi_gateway import drive, make_environ

from wsgikit.middleware import (
    CORS,
    BasicAuth,
    Compress,
    Conditional,
    ErrorPages,
    ProxyHeaders,
    RequestId,
    Stack,
    Static,
    Use,
)

FIELDS = [
    "ACCEPT", "ACCEPT_ENCODING", "RANGE", "IF_RANGE", "IF_MATCH", "IF_NONE_MATCH", "IF_MODIFIED_SINCE",
    "IF_UNMODIFIED_SINCE", "ORIGIN", "ACCESS_CONTROL_REQUEST_METHOD", "ACCESS_CONTROL_REQUEST_HEADERS", "AUTHORIZATION",
    "X_REQUEST_ID", "TRACEPARENT", "X_FORWARDED_FOR", "X_FORWARDED_PROTO", "X_FORWARDED_HOST", "X_FORWARDED_PORT",
]  # fmt: skip
# what a server may hand on: Latin-1 without the control characters that end a field
ANY = st.text(st.characters(max_codepoint=255, blacklist_characters="\r\n\0"), max_size=40)
LIKELY = [
        "gzip;q=", "gzip;q=1e9", "*;q=nan", "gzip;q=-inf", "text/html;q=x", "a/b;c=\"", "\xa0", "*", "-1", "1" * 400,
        "bytes=-", "bytes=0-,", "bytes=1-0,5", "bytes=" + "0-0," * 500, "bytes=" + "9" * 5000 + "-",
        "bytes=-" + "9" * 5000,
        "W/", '"', 'W/"', '"a', "Mon, 01 Jan 0000 00:00:00 GMT", "Fri, 31 Dec 99999 23:59:59 GMT",
        "Mon, 01 Jan 2024 00:00:00 +9999", "Mon, 01 Jan 2024 00:00:00 -99999999999", "Basic =", "Basic ====",
        "9" * 5000, "1.1.1.1:" + "9" * 5000, "https",
]  # fmt: skip


def app(environ: Any, start_response: Any) -> Any:
    if environ["PATH_INFO"] == "/fail":
        raise ValueError
    start_response("200 OK", [("Content-Type", "text/plain"), ("ETag", '"a"'), ("Last-Modified", "never")])
    return [b"hello " * 200]


STACK = Stack(
    app,
    [
        Use(ProxyHeaders, trusted=["192.0.2.7"]),
        Use(RequestId, inbound=True),
        Use(ErrorPages, logger="wsgikit.test.silent"),
        Use(CORS, origins=["https://*.a.example"], headers=["*"]),
        Use(Compress),
        Use(Conditional),
        Use(Static, directory=str(Path(__file__).parent)),
    ],
)
GUARDED = BasicAuth(STACK, users={"a": "plain:b"}, cache_time=0)


@given(
    st.dictionaries(st.sampled_from(FIELDS), ANY | st.sampled_from(LIKELY), max_size=5),
    st.sampled_from(["/", "/fail", "/test_hostile_fields.py"]),
    st.sampled_from(["GET", "HEAD", "OPTIONS", "POST"]),
)
def test_whatever_a_client_sends_it_gets_a_whole_answer(fields: dict[str, str], path: str, method: str) -> None:
    judge(fields, path, method)


def test_each_likely_slip_in_each_field() -> None:
    for name in FIELDS:
        for value in LIKELY:
            judge({name: value}, "/test_hostile_fields.py", "GET")
            judge({name: value}, "/", "OPTIONS" if name.startswith("ACCESS") else "GET")


def judge(fields: dict[str, str], path: str, method: str) -> None:
    for layer in (STACK, GUARDED):
        seen = drive(layer, make_environ(method, path, **{f"HTTP_{name}": value for name, value in fields.items()}))
        assert seen.error is None
        assert seen.code in (200, 204, 206, 304, 401, 403, 412, 416, 500)
        assert (seen.code == 500) <= (path == "/fail")
        for name, value in seen.headers:
            assert not set(name + value) & set("\r\n\0")
        if seen.get("Content-Length") and method != "HEAD" and seen.code != 304:
            assert seen.get("Content-Length") == str(len(seen.body))
