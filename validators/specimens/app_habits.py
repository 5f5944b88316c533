"""Apps whose fault shows only in how they answer a hostile server: what `wsgikit check app` finds.

Each is a factory, because most of them keep something from call to call. Deliberately wrong: do not imitate.
"""

from __future__ import annotations

import threading
import time
from typing import Any
from urllib.parse import quote

from wsgikit.validators.app.request import Request
from wsgikit.validators.specimens.model import breaks

PLAIN = [("Content-Type", "text/plain")]
_POST = Request(method="POST", body=b"name=value")


@breaks("A01", seen_by="app", factory=True)
def introspects_start_response() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        getattr(start_response, "__name__", "")
        start_response("200 OK", list(PLAIN))
        return [b"hello"]

    return app


@breaks("A01", seen_by="app", factory=True)
def wants_a_function() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        if type(start_response).__name__ != "function" and type(start_response).__name__ != "method":
            raise TypeError("start_response has to be a function")
        start_response("200 OK", list(PLAIN))
        return [b"hello"]

    return app


@breaks("A02", seen_by="app", factory=True)
def works_once() -> Any:
    pieces = iter([b"hello", b"world"])

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        return [next(pieces)]

    return app


@breaks("A02", seen_by="app", factory=True)
def shares_a_buffer_between_threads() -> Any:
    running = threading.Semaphore(1)

    def app(environ: Any, start_response: Any) -> Any:
        if not running.acquire(blocking=False):
            raise RuntimeError("called while another call is under way")
        try:
            time.sleep(0.01)
            start_response("200 OK", list(PLAIN))
            return [b"hello"]
        finally:
            running.release()

    return app


@breaks("A03", seen_by="app", factory=True)
def takes_three_arguments() -> Any:
    def app(environ: Any, start_response: Any, options: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        return [b"hello"]

    return app


@breaks("A22", seen_by="app", factory=True)
def answers_upgrade() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        status = "426 Upgrade Required" if "websocket" in environ.get("HTTP_UPGRADE", "") else "200 OK"
        start_response(status, list(PLAIN))
        return [b"hello"]

    return app


@breaks("A30", seen_by="app", factory=True)
def counts_on_being_exhausted() -> Any:
    class Blocks:
        def __init__(self) -> None:
            self.left = [b"hello", b"world"]

        def __iter__(self) -> Any:
            while self.left:
                yield self.left.pop(0)

        def close(self) -> None:
            if self.left:
                raise RuntimeError("closed before the end")

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        return Blocks()

    return app


@breaks("A36", seen_by="app", request=_POST, factory=True)
def hides_a_late_error() -> Any:
    import sys

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        yield b"begun"
        try:
            yield environ["wsgi.input"].read(10)
        except OSError:
            try:
                start_response("500 Oops", list(PLAIN), sys.exc_info())
            except OSError:
                yield b"error"

    return app


@breaks("A38", seen_by="app", factory=True)
def raises_for_some_methods() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        handler = {"GET": b"hello", "HEAD": b"", "POST": b"", "PUT": b"", "OPTIONS": b""}[environ["REQUEST_METHOD"]]
        start_response("200 OK", list(PLAIN))
        return [handler]

    return app


@breaks("A47", seen_by="app", factory=True)
def needs_a_client_address() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        address = environ["REMOTE_ADDR"]
        start_response("200 OK", list(PLAIN))
        return [address.encode()]

    return app


@breaks("A53", seen_by="app", factory=True)
def counts_on_the_file_being_read() -> Any:
    class OneFile:
        busy = False

        def __init__(self) -> None:
            if OneFile.busy:
                raise RuntimeError("the file is still open")
            OneFile.busy = True
            self.data = [b"hello"]

        def read(self, size: int = -1) -> bytes:
            OneFile.busy = len(self.data) > 0
            return self.data.pop() if self.data else b""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        if "wsgi.file_wrapper" in environ:
            return environ["wsgi.file_wrapper"](OneFile())
        return [b"hello"]

    return app


@breaks("A55", seen_by="app", factory=True)
def tidies_up_after_run_once() -> Any:
    resources = [b"hello"]

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        return [resources.pop() if environ["wsgi.run_once"] else resources[0]]

    return app


@breaks("A57", seen_by="app", request=Request(target="/caf%C3%A9"), factory=True)
def encodes_the_path_twice() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
        location = f"http://{host}{quote(environ.get('PATH_INFO', ''))}/"
        start_response("301 Moved Permanently", [("Location", location)])
        return [b""]

    return app


@breaks("A57", seen_by="app", request=Request(target="/here"), factory=True)
def forgets_the_port() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        host = environ.get("HTTP_HOST") or environ["SERVER_NAME"]
        location = f"http://{host}{quote(environ.get('PATH_INFO', ''), encoding='latin-1')}/"
        start_response("301 Moved Permanently", [("Location", location)])
        return [b""]

    return app


@breaks("A58", seen_by="app", factory=True)
def keeps_one_header_list() -> Any:
    headers = [("Content-Type", "text/plain")]

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", headers)
        return [b"hello"]

    return app
