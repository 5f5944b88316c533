"""Mutants of how the app is called, of environ and of the streams (S01-S08, S21-S57)."""

from __future__ import annotations

import inspect
import io
import os
import signal
import socket
from typing import Any
from urllib.parse import unquote

from server_mutants import mutant
from tiny_server import Connection, Errors, Request, TinyServer


@mutant("S01", "only a plain function may be the app")
class FunctionsOnly(Request):
    def call(self, app: Any) -> Any:
        if not inspect.isfunction(app):
            raise TypeError("the app has to be a function")
        return super().call(app)


@mutant("S02", "an app that raised is called again")
class CalledTwice(Request):
    def call(self, app: Any) -> Any:
        try:
            return super().call(app)
        except Exception:
            self.started = False
            return super().call(app)


@mutant("S03", "start_response is given by keyword",
        implied={"S01": "other apps name their arguments as they like"})  # fmt: skip
class ByKeyword(Request):
    def call(self, app: Any) -> Any:
        return app(self.environ(), start_response=self.start_response)


class Environ(dict[str, Any]):
    pass


@mutant("S04", "environ is of a subclass of dict")
class Subclassed(Request):
    def environ(self) -> Any:
        return Environ(super().environ())


@mutant("S05", "what an app puts into environ stays for the next request")
class Shared(Request):
    def environ(self) -> dict[str, Any]:
        self.own = super().environ()
        self.given = {**self.connection.server.shared, **self.own}
        return self.given

    def close(self, result: Any) -> None:
        self.connection.server.shared = {key: self.given[key] for key in self.given if key not in self.own}
        super().close(result)


class Without(Request):
    """environ lacks a key."""

    lacks = ""

    def environ(self) -> dict[str, Any]:
        environ = super().environ()
        environ.pop(self.lacks, None)
        return environ


@mutant("S06", "SERVER_PROTOCOL is missing", implied={"S29": "its rule asks for the variable too"})
class NoProtocol(Without):
    lacks = "SERVER_PROTOCOL"


@mutant("S07", "an explicit None as third argument is refused")
class NoNone(Request):
    def start_response(self, status: Any, headers: Any, *more: Any) -> Any:
        if more == (None,):
            raise TypeError("exc_info is None")
        return super().start_response(status, headers, *more)


@mutant("S08", "start_response returns None")
class NoWrite(Request):
    def start_response(self, status: Any, headers: Any, exc_info: Any = None, /) -> Any:
        super().start_response(status, headers, exc_info)


class Changed(Request):
    """environ with something changed."""

    def environ(self) -> dict[str, Any]:
        environ = super().environ()
        self.change(environ)
        return environ

    def change(self, environ: dict[str, Any]) -> None:
        raise NotImplementedError


@mutant("S21", "the method is put into capitals", implied={"H09": "the same on the wire"})
class Capitals(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        environ["REQUEST_METHOD"] = environ["REQUEST_METHOD"].upper()


@mutant("S22", "SCRIPT_NAME is a slash")
class SlashScript(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        if environ["PATH_INFO"].startswith("/"):
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = "/", environ["PATH_INFO"][1:]


@mutant("S23", "PATH_INFO is not decoded")
class RawPath(Request):
    def path(self) -> str:
        return self.head.path.decode("latin-1")


@mutant("S24", "QUERY_STRING is decoded")
class DecodedQuery(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        environ["QUERY_STRING"] = unquote(environ["QUERY_STRING"], "latin-1")


@mutant("S25", "CONTENT_TYPE has a default")
class DefaultType(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        environ.setdefault("CONTENT_TYPE", "text/plain")


@mutant("S26", "CONTENT_LENGTH gets a leading zero")
class PaddedLength(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        if environ.get("CONTENT_LENGTH"):
            environ["CONTENT_LENGTH"] = "0" + environ["CONTENT_LENGTH"]


@mutant("S27", "Content-Type is there twice")
class DoubledType(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        if "CONTENT_TYPE" in environ:
            environ["HTTP_CONTENT_TYPE"] = environ["CONTENT_TYPE"]


@mutant("S28", "SERVER_NAME is empty")
class Nameless(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        environ["SERVER_NAME"] = ""


@mutant("S29", "SERVER_PROTOCOL is always HTTP/1.1")
class AlwaysNew(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        environ["SERVER_PROTOCOL"] = "HTTP/1.1"


@mutant("S30", "a header that nobody sent")
class Invented(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        environ["HTTP_ACCEPT_ENCODING"] = "identity"


@mutant("S31", "of repeated headers the last one counts")
class LastOne(Request):
    def joined(self, key: str, first: str, second: str) -> str:
        return second


@mutant("S32", "X_Y passes for X-Y", implied={"H24": "the same on the wire"})
class Aliases(Request):
    def wanted(self, name: str) -> bool:
        return super().wanted(name.replace("_", "-"))


@mutant("S33", "SERVER_SOFTWARE is missing")
class NoSoftware(Without):
    lacks = "SERVER_SOFTWARE"


@mutant("S34", "HTTPS is missing under TLS", tls=True)
class NoHttps(Without):
    lacks = "HTTPS"


@mutant("S36", "REMOTE_USER is there and empty")
class EmptyUser(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        environ["REMOTE_USER"] = ""


@mutant("S37", "REMOTE_PORT is a number")
class NumericPort(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        environ["REMOTE_PORT"] = 4711


@mutant("S38", "wsgi.version is a list")
class ListedVersion(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        environ["wsgi.version"] = [1, 0]


@mutant("S39", "wsgi.url_scheme is what the client says")
class TrustedScheme(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        environ["wsgi.url_scheme"] = environ.get("HTTP_X_FORWARDED_PROTO", "http")


@mutant("S40", "wsgi.errors is None",
        implied={"S44": "nothing to write to", "S49": "it has no methods", "S57": "nothing to flush"})  # fmt: skip
class NoErrors(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        environ["wsgi.errors"] = None


@mutant("S41", "wsgi.multithread is false although threads run side by side")
class OneThread(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        environ["wsgi.multithread"] = False


class Forking(TinyServer):
    """Every second connection is served by a child."""

    def accepted(self, peer: socket.socket) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        turn = next(self.count) % 2
        child = turn and os.fork() == 0
        if child or not turn:
            self.converse(peer)
        if child:
            os._exit(0)
        peer.close()


@mutant("S42", "wsgi.multiprocess is false although processes answer in turn", process=True, server_type=Forking)
class OneProcess(Request):
    pass


@mutant("S43", "wsgi.run_once is true all the time")
class Once(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        environ["wsgi.run_once"] = True


class NarrowErrors(Errors):
    def write(self, text: str) -> None:
        text.encode("utf-8")


@mutant("S44", "wsgi.errors.write() raises at a lone surrogate")
class Narrow(Request):
    errors_type = NarrowErrors


@mutant("S45", "a variable in capitals and without a prefix")
class Shouting(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        environ["TinyServer"] = "yes"


@mutant("S46", "a variable of the operating system as bytes")
class BytesFromOs(Changed):
    def change(self, environ: dict[str, Any]) -> None:
        environ["PATH"] = os.environb[b"PATH"]


@mutant("S47", "header values are decoded as UTF-8")
class Unicode(Request):
    def text(self, value: bytes) -> str:
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")


class Proxied:
    """A BytesIO behind a wall, so that methods can be missing."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)

    def readline(self, size: int = -1) -> bytes:
        return self._stream.readline(size)

    def __iter__(self) -> Any:
        return iter(self._stream)


@mutant("S48", "wsgi.input has no readlines",
        implied={"S53": "one of its steps is readlines()", "S55": "it is about readlines()"})  # fmt: skip
class NoReadlines(Request):
    input_type = Proxied


class FewErrors:
    def write(self, text: str) -> None:
        pass

    def flush(self) -> None:
        pass


@mutant("S49", "wsgi.errors has no writelines")
class NoWritelines(Request):
    errors_type = FewErrors


class Mutable(io.BytesIO):
    def readline(self, size: int | None = -1, /) -> Any:
        return bytearray(super().readline(size))


@mutant("S50", "readline() gives a bytearray")
class Bytearrays(Request):
    input_type = Mutable


class Endless(io.BytesIO):
    """Reads past the end from the connection."""

    connection: Connection

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if size is not None and 0 < len(data) < size:
            self.connection.receive()
        return data


@mutant("S51", "read() past the end waits for the client")
class PastTheEnd(Changed):
    input_type = Endless

    def change(self, environ: dict[str, Any]) -> None:
        environ["wsgi.input"].connection = self.connection


class Short(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(20 if size is None or size < 0 else size)


@mutant("S52", "read() gives twenty bytes at most")
class ShortAll(Request):
    input_type = Short


class OddEnd(io.BytesIO):
    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        return super().readlines(hint) or [b""]


@mutant("S53", "readlines() at the end gives an empty line")
class EmptyLine(Request):
    input_type = OddEnd


class Sizeless(io.BytesIO):
    def readline(self, size: int | None = -1, /) -> bytes:
        return super().readline()


@mutant("S54", "readline() forgets its size")
class WholeLines(Request):
    input_type = Sizeless


class Hintless(io.BytesIO):
    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        lines = super().readlines()
        return lines[:1] if hint is not None and hint > 0 else lines


@mutant("S55", "readlines() with a hint loses the lines behind it")
class LosesLines(Request):
    input_type = Hintless


class Pieces(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size, 16) if size is not None and size > 0 else size)


@mutant("S56", "read(n) gives sixteen bytes at most")
class ShortReads(Request):
    input_type = Pieces


class NoFlush(Errors):
    def flush(self) -> None:
        raise OSError("cannot be flushed")


@mutant("S57", "flush() of wsgi.errors raises")
class Unflushed(Request):
    errors_type = NoFlush
