"""Servers that break a rule of the streams or of file_wrapper, seen by the lint. Deliberately wrong: do not imitate."""

from __future__ import annotations

import io
from typing import Any

from wsgikit.validators.app.request import Request
from wsgikit.validators.specimens.model import breaks
from wsgikit.validators.specimens.serving import environ_with, plain, polite, serve, wrapping

_POST = Request(method="POST", body=b"one\ntwo\n")


@breaks("S44")
def log_in_ascii(lint: Any) -> None:
    class Log(io.StringIO):
        def write(self, text: str) -> int:
            return super().write(text.encode("ascii").decode("ascii"))

    try:
        serve(lint(polite), environ_with(wsgi__errors=Log()))
    except UnicodeError:
        pass


@breaks("S45")
def own_key_in_capitals(lint: Any) -> None:
    environ = environ_with()
    environ["MyServer.connection"] = 7
    serve(lint(plain), environ)


@breaks("S46")
def system_variable_is_a_number(lint: Any) -> None:
    serve(lint(plain), environ_with(SHLVL=1))


@breaks("S47")
def path_in_unicode(lint: Any) -> None:
    serve(lint(plain), environ_with(PATH_INFO="/\u20ac"))


@breaks("S48")
def input_without_readlines(lint: Any) -> None:
    class Input:
        def read(self, size: int = -1) -> bytes:
            return b""

        readline = read

        def __iter__(self) -> Any:
            return iter(())

    serve(lint(plain), environ_with(wsgi__input=Input()))


@breaks("S49")
def errors_without_writelines(lint: Any) -> None:
    class Errors:
        def write(self, text: str) -> None:
            pass

        def flush(self) -> None:
            pass

    serve(lint(plain), environ_with(wsgi__errors=Errors()))


@breaks("S50")
def input_of_str(lint: Any) -> None:
    serve(lint(polite), environ_with(_POST, wsgi__input=io.StringIO("one\ntwo\n")))


@breaks("S51")
def input_without_an_end(lint: Any) -> None:
    serve(lint(polite), environ_with(_POST, wsgi__input=io.BytesIO(b"one\ntwo\nGET /next HTTP/1.1\r\n")))


class OldInput(io.BytesIO):
    """An input stream as WSGI 1.0 allowed it: every size is required, or impossible."""

    def read(self, size: Any) -> bytes:  # type: ignore[override]
        return super().read(size)

    def readline(self) -> bytes:  # type: ignore[override]
        return super().readline()


@breaks("S52")
def read_needs_a_size(lint: Any) -> None:
    try:
        serve(lint(polite), environ_with(_POST, wsgi__input=OldInput(_POST.body)))
    except TypeError:
        pass


@breaks("S53")
def exhausted_input_gives_none(lint: Any) -> None:
    class Input(io.BytesIO):
        def read(self, size: Any = -1) -> Any:
            return super().read(size) or None

    serve(lint(polite), environ_with(wsgi__input=Input()))


@breaks("S54")
def readline_takes_no_size(lint: Any) -> None:
    def reading(environ: Any, start_response: Any) -> Any:
        try:
            environ["wsgi.input"].readline(100)
        except TypeError:
            pass
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    app = lint(reading)
    serve(app, environ_with(_POST, wsgi__input=OldInput(_POST.body)))


@breaks("S56")
def reads_what_has_arrived(lint: Any) -> None:
    class Dribble(io.BytesIO):
        def read(self, size: Any = -1) -> bytes:
            return super().read(1)

    def reading(environ: Any, start_response: Any) -> Any:
        environ["wsgi.input"].read(4)
        environ["wsgi.input"].read(4)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    app = lint(reading)
    serve(app, environ_with(_POST, wsgi__input=Dribble(_POST.body)))


@breaks("S57")
def flush_fails(lint: Any) -> None:
    class Errors(io.StringIO):
        def flush(self) -> None:
            raise OSError("not supported")

    try:
        serve(lint(polite), environ_with(wsgi__errors=Errors()))
    except OSError:
        pass


@breaks("S62", implied={"A33": "only an app that calls twice can show it"})
def takes_a_second_start_response(lint: Any) -> None:
    def twice(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        start_response("404 Not Found", [])
        return [b"hello"]

    app = lint(twice)
    serve(app, environ_with())


def _with_wrapper(lint: Any, wrapper: Any, file: Any) -> None:
    app = lint(wrapping(file))
    try:
        serve(app, environ_with(wsgi__file_wrapper=wrapper))
    except TypeError:
        pass


@breaks("S86")
def wrapper_without_a_block_size(lint: Any) -> None:
    _with_wrapper(lint, lambda file: file, io.BytesIO(b"hello"))


@breaks("S87")
def wrapper_that_is_not_iterable(lint: Any) -> None:
    class Wrapper:
        def __init__(self, file: Any, block_size: int = 8192) -> None:
            self.close = file.close

    _with_wrapper(lint, Wrapper, io.BytesIO(b"hello"))


@breaks("S89")
def wrapper_that_forgets_the_file(lint: Any) -> None:
    class Wrapper:
        def __init__(self, file: Any, block_size: int = 8192) -> None:
            self.file = file

        def __iter__(self) -> Any:
            return iter(lambda: self.file.read(4096), b"")

    _with_wrapper(lint, Wrapper, io.BytesIO(b"hello"))
