"""The lint under random apps and environs: it never changes a response, never fails by itself, and never cries wolf."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wsgikit.validators.app.driver import Conduct, ask
from wsgikit.validators.app.request import Request
from wsgikit.validators.lint import Lint, replay
from wsgikit.validators.lint.environ import check_environ
from wsgikit.validators.lint.head import check_exc_info, check_headers, check_status, declared_length
from wsgikit.wire.http11 import Limits, parse_head

TOKEN = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=12)
LATIN = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20)
SPECIAL = {"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
           "trailers", "transfer-encoding", "upgrade", "content-length", "status"}  # fmt: skip
FIELD = st.tuples(TOKEN.filter(lambda name: name.lower() not in SPECIAL), LATIN.filter(lambda text: "=?" not in text))
REASON = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=10)
STATUS = st.builds(lambda code, reason: f"{code} {reason}", st.sampled_from([200, 302, 404, 418, 599, 999]), REASON)
ANYTHING = st.one_of(
    st.none(),
    st.integers(),
    st.text(),
    st.binary(),
    st.lists(st.integers(), max_size=3),
    st.tuples(st.text(), st.text()),
)


def made(status: str, headers: list[tuple[str, str]], blocks: list[bytes], written: list[bytes], lazy: bool) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        if lazy:
            return later(start_response)
        write = start_response(status, list(headers))
        for data in written:
            write(data)
        return list(blocks)

    def later(start_response: Any) -> Any:
        start_response(status, list(headers))
        yield from blocks

    return app


@given(
    STATUS, st.lists(FIELD, max_size=4), st.lists(st.binary(max_size=8), max_size=4), st.lists(st.binary(max_size=8)),
    st.booleans(), st.sampled_from([None, 0, 1, 2]),
)  # fmt: skip
def test_a_correct_response_passes_unchanged_and_unreported(
    status: str, headers: list[Any], blocks: list[bytes], written: list[bytes], lazy: bool, take: int | None
) -> None:
    app = made(status, headers, blocks, [] if lazy else written, lazy)
    lint = Lint(app)
    plain, linted = (ask(one, Request(), Conduct(take=take)) for one in (app, lint))
    lint.finish()

    assert [finding.detail for finding in lint.findings] == []
    assert (plain.status, plain.headers, plain.body, plain.blocks) == (
        linted.status,
        linted.headers,
        linted.body,
        linted.blocks,
    )


@given(ANYTHING, ANYTHING, ANYTHING)
def test_no_argument_of_start_response_breaks_the_checks(status: Any, headers: Any, exc_info: Any) -> None:
    for notes in (
        check_status(status),
        check_headers(headers, 200),
        check_headers([headers], 204),
        check_exc_info(exc_info),
    ):
        assert all(note.detail for note in notes)
    length = declared_length(headers)
    assert length is None or length >= 0


@given(st.one_of(ANYTHING, st.dictionaries(st.text(max_size=5), ANYTHING)))
def test_no_environ_breaks_the_checks(environ: Any) -> None:
    assert all(note.detail for note in check_environ(environ))


@given(st.text(), st.integers(min_value=0, max_value=2**70))
def test_a_status_is_legal_exactly_when_it_can_become_a_status_line(reason: str, code: int) -> None:
    status = f"{code} {reason}"
    legal = 200 <= code <= 999 and reason == reason.strip(" ") and all(
        " " <= char <= "\xff" and char != "\x7f" for char in reason
    )  # fmt: skip

    assert (list(check_status(status)) == []) is legal


@given(
    TOKEN,
    st.binary(max_size=20),
    st.text(string.ascii_letters + "=&%", max_size=10),
    st.lists(st.tuples(st.text(string.ascii_letters + "-", min_size=1, max_size=8), TOKEN), max_size=3),
    st.binary(max_size=20),
)
def test_the_reproducer_is_a_request_that_a_server_can_read(
    method: str, path: bytes, query: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    from urllib.parse import quote

    fields = tuple((f"X-{name}", value) for name, value in headers)
    request = Request(
        method=method, target=f"/{quote(path)}" + (f"?{query}" if query else ""), headers=fields, body=body
    )
    seen: list[dict[str, Any]] = []
    ask(lambda environ, start_response: seen.append(dict(environ)) or [], request)
    raw = replay.reproducer(seen[0], body).raw
    head = parse_head(raw, 0, Limits())

    assert head is not None
    assert head.method == method
    assert head.query == query.encode()
    assert head.content_length == (len(body) if body else None)
    assert raw[head.end :] == body
