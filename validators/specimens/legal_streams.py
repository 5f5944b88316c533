"""Streams, bodies and servers that PEP 3333 allows: none of these breaks a rule. Apps unless the name says server."""

from __future__ import annotations

import io
import sys
from typing import Any

from wsgikit.validators.app.driver import Conduct
from wsgikit.validators.app.request import Request
from wsgikit.validators.specimens.model import legal

PLAIN = [("Content-Type", "text/plain")]
_POST = Request(method="POST", body=b"one\ntwo\nthree\n")


@legal(request=_POST)
def read_without_a_size() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        data = environ["wsgi.input"].read()
        again = environ["wsgi.input"].read()
        start_response("200 OK", list(PLAIN))
        return [data, again]

    return app


@legal(request=_POST)
def every_way_to_read() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"]
        parts = [body.read(2), body.readline(), body.readline(2), *body.readlines(4), *body, body.read(-1)]
        start_response("200 OK", list(PLAIN))
        return parts

    return app


@legal(request=_POST)
def exact_read() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        data = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("200 OK", list(PLAIN))
        return [data]

    return app


@legal(request=_POST, conduct=Conduct(chunked=True))
def read_to_the_end_of_a_chunked_body() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        return iter(lambda: environ["wsgi.input"].read(3), b"")

    return app


@legal(request=_POST)
def input_left_unread() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        hasattr(environ["wsgi.input"], "seek")  # asking is not using
        start_response("200 OK", list(PLAIN))
        return [b"hello"]

    return app


@legal()
def log_in_unicode() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        errors = environ["wsgi.errors"]
        errors.write("snowman \u2603\n")
        errors.writelines(["one\n", "two\n"])
        print("three", file=errors, flush=True)
        start_response("200 OK", list(PLAIN))
        return [b"hello"]

    return app


@legal()
def write_and_blocks() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [*PLAIN, ("Content-Length", "10")])
        write(b"hello")
        write(b"")
        return [b"world"]

    return app


@legal()
def error_page_before_output() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [*PLAIN, ("Content-Length", "99")])
        try:
            raise ValueError("a bug")
        except ValueError:
            start_response("500 Internal Server Error", list(PLAIN), sys.exc_info())
        return [b"sorry"]

    return app


@legal()
def abort_after_output() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [*PLAIN, ("Content-Length", "99")])
        yield b"begun"
        try:
            raise ValueError("a bug")
        except ValueError:
            start_response("500 Internal Server Error", list(PLAIN), sys.exc_info())
            yield b"never reached"

    return app


@legal()
def app_raises() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [*PLAIN, ("Content-Length", "5")])
        raise ValueError("a bug")

    return app


@legal(conduct=Conduct(take=1))
def closed_early() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [*PLAIN, ("Content-Length", "15")])
        return [b"hello"] * 3

    return app


@legal(conduct=Conduct(take=0))
def closed_without_being_read() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [*PLAIN, ("Content-Length", "15")])
        yield b"hello" * 3

    return app


@legal(conduct=Conduct(environ="minimal"))
def server_gives_the_least() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        return [environ.get("QUERY_STRING", "").encode("latin-1")]

    return app


@legal(request=Request(target="", extra={"SCRIPT_NAME": "/shop"}), conduct=Conduct(environ="minimal"))
def server_mounts_without_a_slash() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        return [environ["SCRIPT_NAME"].encode("latin-1")]

    return app


@legal(request=Request(method="OPTIONS", target="*"))
def server_asks_for_options_of_all() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Allow", "GET, HEAD")])
        return []

    return app


@legal(request=Request(method="PROPFIND", target="/%E2%82%AC/..//%00?q=%E2%82%AC&x=?"))
def server_sends_an_extension_method_and_odd_targets() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        return [environ["PATH_INFO"].encode("latin-1")]

    return app


@legal(
    request=Request(
        extra={
            "CONTENT_LENGTH": "",
            "CONTENT_TYPE": "",
            "SERVER_PROTOCOL": "HTTP/2",
            "HTTP_X_EMPTY": "",
            "HTTP_X.A": "a header named X.A",
            "http_proxy": "from the shell",
            "my_server.connection": object(),
            "wsgi.multithread": 1,
            "wsgi.run_once": 0,
        }
    )
)
def server_gives_more_than_it_must() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        return [b"hello"]

    return app


@legal()
def environ_is_cleared() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        environ.clear()
        environ["mine"] = 1
        start_response("200 OK", list(PLAIN))
        return [b"hello"]

    return app


@legal(conduct=Conduct(file_wrapper=True))
def file_by_the_wrapper() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [*PLAIN, ("Content-Length", "5")])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"hello"))

    return app


@legal(conduct=Conduct(file_wrapper=True))
def wrapper_made_and_dropped() -> Any:
    class ReadOnly:
        def read(self, size: int = -1) -> bytes:
            return b""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        environ["wsgi.file_wrapper"](ReadOnly(), 4096)
        return [b"hello"]

    return app


@legal()
def large_blocks_and_hex() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        return [b"5\r\nhello\r\n", b"but no last chunk"]

    return app


@legal()
def app_called_again_for_the_error_page() -> Any:
    def inner(environ: Any, start_response: Any) -> Any:
        start_response("404 Not Found", list(PLAIN))
        return iter([b"missing"])

    def app(environ: Any, start_response: Any) -> Any:
        first = inner(environ, lambda *head: None)
        list(first)
        return inner(environ, start_response)

    return app


@legal()
def headers_shared_between_calls_without_spoiling() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        headers = [*PLAIN, ("Vary", "Accept")]
        start_response("200 OK", headers)
        headers.append(("X-Late", "never sent, and nobody's business"))
        return [b"hello"]

    return app
