"""Apps and heads that PEP 3333 allows and some lint or other complains about: none of these breaks a rule.

Worked out from the PEP's text and from the reports against earlier lints (python/cpython#93416, falconry/falcon#689 and
others). Apps unless the name says server.
"""

from __future__ import annotations

import functools
from typing import Any

from wsgikit.validators.app.request import Request
from wsgikit.validators.specimens.model import legal

PLAIN = [("Content-Type", "text/plain")]


@legal()
def app_is_a_class() -> Any:
    class App:
        def __init__(self, environ: Any, start_response: Any) -> None:
            self.start = start_response

        def __iter__(self) -> Any:
            self.start("200 OK", list(PLAIN))
            yield b"hello"

    return App


@legal()
def app_is_an_instance() -> Any:
    class App:
        def __call__(self, environ: Any, start_response: Any) -> Any:
            start_response("200 OK", list(PLAIN))
            return [b"hello"]

    return App()


@legal()
def app_is_a_bound_method() -> Any:
    class Site:
        def run(self, environ: Any, start_response: Any) -> Any:
            start_response("200 OK", list(PLAIN))
            return (b"hello",)

    return Site().run


@legal()
def app_is_a_partial_with_other_argument_names() -> Any:
    def app(text: Any, request: Any, respond: Any) -> Any:
        respond("200 OK", list(PLAIN), None)
        return [text]

    return functools.partial(app, b"hello")


@legal()
def start_response_at_the_first_block() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        yield b"hello"

    return app


@legal()
def empty_blocks_before_start_response() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        yield b""
        start_response("200 OK", list(PLAIN))
        yield b""
        yield b"hello"

    return app


@legal()
def iterator_without_close() -> Any:
    class Countdown:
        left = 3

        def __iter__(self) -> Any:
            return self

        def __next__(self) -> bytes:
            if not self.left:
                raise StopIteration
            self.left -= 1
            return b"%d" % self.left

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        return Countdown()

    return app


@legal()
def iterable_by_getitem() -> Any:
    class Blocks:
        def __getitem__(self, index: int) -> bytes:
            return [b"hello", b"world"][index]

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        return Blocks()

    return app


@legal()
def redirect_without_content_type() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("302 Found", [("Location", "../elsewhere")])
        return []

    return app


@legal()
def not_found_without_content_type() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("404 Not Found", [("Content-Length", "0")])
        return [b""]

    return app


@legal()
def content_without_content_type() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [b"hello"]

    return app


@legal()
def empty_reason() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("404 ", list(PLAIN))
        return [b"nothing here"]

    return app


@legal()
def reason_of_one_letter() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 A", list(PLAIN))
        return [b"hello"]

    return app


@legal()
def unknown_status() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("799 Caf\xe9 closed (for now): no more", list(PLAIN))
        return [b"hello"]

    return app


@legal()
def unusual_header_names() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(
            "200 OK", [("X.A", "1"), ("3Scale-Id", "2"), ("X-A-", "3"), ("_x_", "4"), ("x!#$%&'*+^`|~", "5")]
        )
        return [b"hello"]

    return app


@legal()
def header_values_in_latin_1() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        word = "=?utf-8?B?4piD?="
        start_response(
            "200 OK", [*PLAIN, ("X-Name", "Caf\xe9 \x85"), ("X-Empty", ""), ("X-Word", word), ("X-Like", "a=?b?=c")]
        )
        return [b"hello"]

    return app


@legal()
def headers_more_than_once() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        cookies = [
            *PLAIN,
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("Content-Length", "5"),
            ("content-length", "5"),
        ]
        start_response("200 OK", cookies)
        return [b"hello"]

    return app


@legal()
def content_length_with_leading_zeros() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [*PLAIN, ("Content-Length", "005")])
        return [b"hel", b"", b"lo"]

    return app


@legal()
def no_content_without_length() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("204 No Content", [])
        return []

    return app


@legal()
def not_modified_with_length() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("304 Not Modified", [("Content-Length", "5"), ("ETag", '"x"')])
        return [b""]

    return app


@legal(request=Request(method="HEAD"))
def head_with_length_and_no_body() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [*PLAIN, ("Content-Length", "5")])
        return []

    return app
