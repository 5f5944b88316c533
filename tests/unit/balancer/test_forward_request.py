"""What goes on to the upstream: target, fields, body."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsgi_call import environ_of, foreign

from wsgikit.client import Origin
from wsgikit.errors import ConfigError, Disconnected
from wsgikit.middleware.forward_fields import client_fields
from wsgikit.middleware.forward_request import Call, LengthRequired, Upload, target, upload
from wsgikit.middleware.forward_settings import HeaderEdits, forward_settings
from wsgikit.middleware.request_fields import set_field
from wsgikit.middleware.router.target import shift

ORIGIN = Origin.parse("http://10.0.0.1:8000")


def sent(asked: bytes, /, *, origin: Origin = ORIGIN, environ: dict[str, object] | None = None, **options: object):
    return Call(environ_of(asked, **(environ or {})), forward_settings(**options)).request(origin)  # type: ignore[arg-type]


def field(request: object, name: str) -> list[bytes]:
    return [value for key, value in request.fields if key.lower() == name.encode()]  # type: ignore[attr-defined]


# Targets


@pytest.mark.parametrize(
    ("raw", "mounted", "expected", "whole"),
    [
        (b"/", "", b"/", b"/"),
        (b"/a/b?x", "", b"/a/b?x", b"/a/b?x"),
        (b"/a%2Fb", "", b"/a%2Fb", b"/a%2Fb"),
        (b"/api/a?x=%2F", "/api", b"/a?x=%2F", b"/api/a?x=%2F"),
        (b"/api", "/api", b"/", b"/api"),
        (b"/api?x", "/api", b"/?x", b"/api?x"),
        (b"/api/", "/api", b"/", b"/api/"),
        (b"/%61pi/%2e%2e", "/api", b"/%2e%2e", b"/%61pi/%2e%2e"),
        (b"/b%C3%BCro/x", "/b\xc3\xbcro", b"/x", b"/b%C3%BCro/x"),
        (b"//a", "", b"//a", b"//a"),
        (b"/?", "", b"/?", b"/?"),
        (b"/a%3f?", "", b"/a%3f?", b"/a%3f?"),
        (b"/api/%3f?", "/api", b"/%3f?", b"/api/%3f?"),
        (b"http://shop.example/a%2Fb?x", "", b"/a%2Fb?x", b"/a%2Fb?x"),
    ],
)
def test_targets(raw: bytes, mounted: str, expected: bytes, whole: bytes) -> None:
    request = b"GET " + raw + b" HTTP/1.1\r\nHost: shop.example\r\n\r\n"
    environ = environ_of(request)
    shift(environ, len(mounted))
    assert environ["SCRIPT_NAME"] == mounted
    assert Call(environ, forward_settings()).request(ORIGIN).target == expected
    assert Call(environ, forward_settings(whole_path=True)).request(ORIGIN).target == whole


def test_a_base_path_stands_in_front() -> None:
    origin = Origin.parse("http://10.0.0.1/base/")
    assert sent(b"/x?y", origin=origin).target == b"/base/x?y"
    assert sent(b"/", origin=origin).target == b"/base/"


def test_a_path_that_was_rewritten_further_out_is_believed() -> None:
    environ = environ_of(b"/old%2Fx?q=1", PATH_INFO="/new x", QUERY_STRING="q=2")
    assert target(environ) == b"/new%20x?q=2"


def test_what_other_servers_let_through_is_encoded() -> None:
    environ = foreign(environ_of(b"/a?b"))
    environ.update(PATH_INFO='/a "b"\xff', QUERY_STRING='x="<>"&y=%20')
    assert target(environ) == b"/a%20%22b%22%FF?x=%22%3C%3E%22&y=%20"


@given(st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=12), st.sampled_from(["", "/api"]))
def test_every_path_makes_a_target_that_decodes_to_it(info: str, mounted: str) -> None:
    from urllib.parse import unquote_to_bytes

    from wsgikit.wire.http11.grammar import TARGET_RUN

    environ = foreign(environ_of(b"/"))
    environ.update(SCRIPT_NAME=mounted, PATH_INFO="/" + info)
    made = target(environ)
    assert TARGET_RUN.fullmatch(made)
    assert unquote_to_bytes(made).decode("latin-1") == "/" + info


# Fields


def test_host_policies() -> None:
    assert field(sent(b"/"), "host") == [b"shop.example"]
    assert field(sent(b"/", host="upstream"), "host") == [b"10.0.0.1:8000"]
    assert field(sent(b"/", host="other.example"), "host") == [b"other.example"]
    old = b"GET / HTTP/1.0\r\n\r\n"
    assert field(sent(old), "host") == [b"localhost"]
    assert field(sent(old, environ={"SERVER_PORT": "8080"}), "host") == [b"localhost:8080"]


def test_forwarded_families() -> None:
    request = b"GET / HTTP/1.1\r\nHost: shop.example:8080\r\nForwarded: for=1.1.1.1\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n"
    plain = sent(request)
    assert field(plain, "x-forwarded-for") == [b"192.0.2.1"]
    assert field(plain, "x-forwarded-host") == [b"shop.example:8080"]
    assert field(plain, "forwarded") == []
    standard = sent(request, forwarded="forwarded", environ={"REMOTE_ADDR": "2001:db8::1"})
    assert field(standard, "forwarded") == [b'for="[2001:db8::1]";proto=http;host="shop.example:8080"']
    assert field(standard, "x-forwarded-for") == []
    off = sent(request, forwarded="off")
    assert field(off, "forwarded") == field(off, "x-forwarded-for") == []


def test_trusted_peers_are_added_to() -> None:
    request = (
        b"GET / HTTP/1.1\r\nHost: inner\r\nX-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2\r\n"
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\nX-Forwarded-Port: 443\r\n\r\n"
    )
    trusted = sent(request, trusted=["192.0.2.0/24"])
    assert field(trusted, "x-forwarded-for") == [b"1.1.1.1, 2.2.2.2, 192.0.2.1"]
    assert field(trusted, "x-forwarded-proto") == [b"https"]
    assert field(trusted, "x-forwarded-host") == [b"shop.example"]
    assert field(trusted, "x-forwarded-port") == [b"443"]
    stranger = sent(request, trusted=["198.51.100.0/24"])
    assert field(stranger, "x-forwarded-for") == [b"192.0.2.1"]
    assert field(stranger, "x-forwarded-proto") == [b"http"]
    assert field(stranger, "x-forwarded-port") == []
    local = sent(request, trusted=["unix"], environ={"REMOTE_ADDR": ""})
    assert field(local, "x-forwarded-for") == [b"1.1.1.1", b"2.2.2.2"]
    assert field(sent(request, environ={"REMOTE_ADDR": ""}), "x-forwarded-for") == []
    chain = sent(
        b"GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=1.1.1.1\r\n\r\n", trusted=["192.0.2.1"], forwarded="forwarded"
    )
    assert field(chain, "forwarded") == [b"for=1.1.1.1", b"for=192.0.2.1;proto=http;host=a"]


def test_the_prefix_is_told_only_where_it_is_not_mended() -> None:
    mounted = {"SCRIPT_NAME": "/b\xc3\xbcro", "PATH_INFO": "/x"}
    assert field(sent(b"/x", environ=mounted), "x-forwarded-prefix") == []
    assert field(sent(b"/x", environ=mounted, rewrite=False), "x-forwarded-prefix") == [b"/b%C3%BCro"]
    assert field(sent(b"/x", environ=mounted, rewrite=False, whole_path=True), "x-forwarded-prefix") == []


def test_via() -> None:
    assert field(sent(b"GET / HTTP/1.0\r\nVia: 1.1 a\r\n\r\n", via="edge"), "via") == [b"1.1 a", b"1.0 edge"]
    assert field(sent(b"/", via=""), "via") == []


def test_edits_come_last() -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Key: client\r\nx-key: again\r\nCookie: a=1\r\n\r\n"
    edits = {"set": {"X-Key": "ours"}, "add": {"X-More": ["1", "2"]}, "remove": ["cookie", "X-Forwarded-For"]}
    made = sent(request, request=edits)
    assert field(made, "x-key") == [b"ours"]
    assert field(made, "x-more") == [b"1", b"2"]
    assert field(made, "cookie") == field(made, "x-forwarded-for") == []


CHANGED = (b"X-User", b"Content-Type", b"X-New", b"X-Low")


def test_what_layers_further_out_did_to_the_fields_goes_on() -> None:
    request = (
        b"GET / HTTP/1.1\r\nHost: a\r\nX-User: forged\r\nX-User: twice\r\nAccept: a\r\nAccept: b\r\nX-Gone: 1\r\n"
        b"X-Same: 1\r\nCookie: a=1\r\nCookie: b=2\r\nX_Low: 1\r\nContent-Type: a/b\r\n\r\n"
    )
    environ = environ_of(request)
    environ["HTTP_X_USER"] = "ada"  # by a layer that knows no raw headers
    environ["HTTP_X_NEW"] = "1"
    environ["HTTP_X_LOW"] = "2"
    environ["CONTENT_TYPE"] = "text/plain"
    del environ["HTTP_X_GONE"]
    set_field(environ, "X-Ours", "3")
    *kept, low, media, new, user = sorted(client_fields(environ, trusted=False)[0], key=lambda each: each[0] in CHANGED)
    assert kept == [
        (b"Accept", b"a"), (b"Accept", b"b"), (b"X-Same", b"1"), (b"Cookie", b"a=1"), (b"Cookie", b"b=2"),
        (b"X-Ours", b"3"),
    ]  # fmt: skip
    assert {low, media, new, user} == {
        (b"X-Low", b"2"), (b"Content-Type", b"text/plain"), (b"X-New", b"1"), (b"X-User", b"ada"),
    }  # fmt: skip


def test_other_servers_give_the_environ_alone() -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\nx-ONE: 1\r\nAccept: a\r\nAccept: b\r\nConnection: x-one, close\r\n\r\n"
    environ = foreign(environ_of(request))
    assert client_fields(environ, trusted=False)[0] == [(b"Accept", b"a, b")]


fields = st.lists(
    st.tuples(
        st.sampled_from([b"Accept", b"accept", b"Cookie", b"X-A", b"x-a", b"X-B", b"Content-Type"]),
        st.text("ab ,;", min_size=1, max_size=4).map(lambda text: text.strip().encode() or b"x"),
    ),
    max_size=8,
)


@given(fields)
def test_untouched_fields_pass_exactly(given_fields: list[tuple[bytes, bytes]]) -> None:
    lines = b"".join(b"%b: %b\r\n" % each for each in given_fields)
    environ = environ_of(b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n")
    assert client_fields(environ, trusted=False)[0] == given_fields


# Bodies


def test_framing_of_bodies() -> None:
    assert field(sent(b"/"), "content-length") == []
    post = sent(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
    assert (field(post, "content-length"), list(post.body)) == ([b"4"], [b"body"])
    empty = sent(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    assert (field(empty, "content-length"), empty.body) == ([b"0"], None)
    chunked = sent(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert (field(chunked, "transfer-encoding"), field(chunked, "content-length")) == ([b"chunked"], [])
    # a spooled body has a length by then
    spooled = sent(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nbody", environ={"CONTENT_LENGTH": "4"}
    )
    assert (field(spooled, "transfer-encoding"), field(spooled, "content-length")) == ([], [b"4"])


def test_a_body_without_a_known_end_is_refused() -> None:
    environ = foreign(environ_of(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n"))
    environ["HTTP_TRANSFER_ENCODING"] = "chunked"
    del environ["wsgi.input_terminated"]
    for length in ("", "+1", "1_0", "x", "\xb2"):
        environ["CONTENT_LENGTH"] = length
        with pytest.raises(LengthRequired):
            upload(environ, chunked=True)


class Arriving(io.RawIOBase):
    """A stream that has one block at a time and cannot go back."""

    def __init__(self, *blocks: bytes) -> None:
        self.blocks = list(blocks)

    def read1(self, size: int) -> bytes:
        return self.blocks.pop(0)[:size] if self.blocks else b""

    def read(self, size: int = -1) -> bytes:
        raise AssertionError("blocks until all is there")


def test_blocks_go_on_as_they_arrive() -> None:
    assert list(Upload(Arriving(b"a", b"bc"), 3)) == [b"a", b"bc"]
    assert list(Upload(Arriving(b"a", b"bc"), None)) == [b"a", b"bc"]
    assert list(Upload(io.BytesIO(b"abcdef"), 3)) == [b"abc"]
    with pytest.raises(Disconnected):
        list(Upload(Arriving(b"a"), 3))


def test_a_body_that_was_read_goes_again_only_where_it_is_whole() -> None:
    streamed = Upload(Arriving(b"abc"), 3)
    assert streamed.ready()
    list(streamed)
    assert not streamed.ready()
    stream = io.BytesIO(b"xxabc")
    stream.seek(2)
    spooled = Upload(stream, 3)
    assert list(spooled) == [b"abc"]
    assert spooled.ready()
    assert list(spooled) == [b"abc"]


# Options


@pytest.mark.parametrize(
    "options",
    [
        {"host": ""}, {"host": "a b"}, {"forwarded": "x"}, {"trusted": "10.0.0.0/8"}, {"trusted": ["10.0.0.1/8"]},
        {"via": "a b"}, {"rewrite": "yes"}, {"request": {"sett": {}}}, {"request": {"set": {"a b": "1"}}},
        {"request": {"set": {"A": "a\nb"}}}, {"request": {"remove": "Cookie"}}, {"request": {"add": {"Host": "x"}}},
        {"response": {"set": {"Transfer-Encoding": "x"}}}, {"upgrades": -1}, {"upgrade_idle": "x"},
        {"half_close": "x"}, {"request": {"set": ["A"]}},
    ],
)  # fmt: skip
def test_wrong_options_name_themselves(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        forward_settings(**options)  # type: ignore[arg-type]


def test_edits_of_nothing_change_nothing() -> None:
    assert not HeaderEdits.of({}, "request")
