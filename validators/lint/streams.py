"""wsgi.input and wsgi.errors as the app gets them: the PEP's methods counted and checked, everything else noticed.

What the real stream can do beyond the PEP stays possible: methods are reported when they are called, other attributes
when they are read. Asking for one that is not there (hasattr) is nobody's mistake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from wsgikit.validators.lint.exchange import Exchange
from wsgikit.validators.lint.notes import Note, shown
from wsgikit.validators.report.model import Verdict

_KEPT = 64 * 1024


class _Stream:
    def __init__(self, exchange: Exchange, stream: Any, key: str) -> None:
        self._exchange = exchange
        self._stream = stream
        self._key = key
        self._seen: Counter[str] = Counter()

    def close(self) -> None:
        self._exchange.judge([Note("A44", f"the app closes {self._key}")])
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._stream, name)
        detail = f"the app uses {name!r} of {self._key}"
        if not callable(value):
            self._exchange.judge([Note("A43", detail)])
            return value
        self._seen[name] += 1

        def noticed(*args: Any, **options: Any) -> Any:
            # Got more often than called: the app has looked whether it is there, and does without where it is not.
            self._seen[name] -= 1
            looked = self._seen[name] > 0
            told = f"{detail}, having looked whether it is there" if looked else detail
            self._exchange.judge([Note("A43", told, Verdict.WARN if looked else None)])
            return value(*args, **options)

        return noticed

    def __enter__(self) -> Any:
        self._exchange.judge([Note("A43", f"the app uses {self._key} in a with statement, which closes it")])
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class InputStream(_Stream):
    """The request body."""

    def __init__(self, exchange: Exchange, stream: Any) -> None:
        super().__init__(exchange, stream, "wsgi.input")
        length = exchange.environ.get("CONTENT_LENGTH")
        usable = isinstance(length, str) and length.isascii() and length.isdigit() and len(length) < 20
        # Without a length there is no body, unless the server says that the input ends by itself.
        self._declared = int(length) if usable and isinstance(length, str) else None
        self._limit = self._declared
        if not length and not exchange.environ.get("wsgi.input_terminated"):
            self._limit = 0
        self._taken = 0
        self._short = False

    def read(self, *args: Any, **options: Any) -> Any:
        self._exchange.judge(self._asked(args, options))
        data = self._call("read", args, options, "S52")
        self._exchange.judge(self._read(data, args[0] if args else None))
        return data

    def readline(self, *args: Any, **options: Any) -> Any:
        data = self._call("readline", args, options, "S54")
        self._exchange.judge(self._got(data))
        return data

    def readlines(self, *args: Any, **options: Any) -> Any:
        lines = self._stream.readlines(*args, **options)
        if isinstance(lines, list):
            for line in lines:
                self._exchange.judge(self._got(line))
        else:
            self._exchange.judge([Note("S50", f"readlines() of wsgi.input returned {shown(lines)}, not a list")])
        return lines

    def __iter__(self) -> Iterator[Any]:
        for line in self._stream:
            self._exchange.judge(self._got(line))
            yield line

    def __next__(self) -> Any:
        self._exchange.judge([Note("A43", "the app calls next() on wsgi.input; iter() is what it may use")])
        return next(self._stream)

    def _call(self, name: str, args: tuple[Any, ...], options: dict[str, Any], rule: str) -> Any:
        self._exchange.recorder.used.add("wsgi.input")
        try:
            return getattr(self._stream, name)(*args, **options)
        except TypeError as error:
            # Raised by the call itself, not inside: the method does not take these arguments.
            inside = error.__traceback__ is not None and error.__traceback__.tb_next is not None
            expected = not args if rule == "S52" else len(args) == 1
            if not inside and expected and not options:
                self._exchange.judge([Note(rule, f"{name}{args!r} of wsgi.input raised {shown(error)}")])
            raise

    def _asked(self, args: tuple[Any, ...], options: dict[str, Any]) -> Iterable[Note]:
        size = args[0] if args else options.get("size")
        if not isinstance(size, int) or size <= 0 or self._limit is None:
            return
        left = max(self._limit - self._taken, 0)
        if size > left:
            yield Note("A42", f"read({size}) where {left} bytes of CONTENT_LENGTH are left")

    def _read(self, data: object, size: object) -> Iterable[Note]:
        yield from self._got(data)
        if not isinstance(data, bytes):
            return
        sized = isinstance(size, int) and size > 0
        if sized and len(data) > size:  # type: ignore[operator]
            yield Note("S56", f"read({size}) returned {len(data)} bytes")
        if self._short and data:
            self._short = False
            yield Note("S56", "a read returned less than was asked for, and the next one went on")
        elif sized and len(data) < size:  # type: ignore[operator]
            self._short = True

    def _got(self, data: object) -> Iterable[Note]:
        if type(data) is not bytes:
            yield Note("S50" if data else "S53", f"wsgi.input gave {shown(data)}, of type {type(data).__name__}")
            return
        self._taken += len(data)
        if len(self._exchange.request_body) < _KEPT:
            self._exchange.request_body += data[:_KEPT]
        if self._declared is not None and self._taken - len(data) <= self._declared < self._taken:
            yield Note("S51", f"wsgi.input gave more than the {self._declared} bytes of CONTENT_LENGTH")


class ErrorStream(_Stream):
    """The server's log."""

    def __init__(self, exchange: Exchange, stream: Any) -> None:
        super().__init__(exchange, stream, "wsgi.errors")

    def write(self, text: Any) -> Any:
        self._exchange.recorder.used.add("wsgi.errors")
        self._exchange.judge(_text_notes(text))
        return self._tolerant(self._stream.write, text)

    def writelines(self, lines: Iterable[Any]) -> None:
        lines = list(lines)
        for text in lines:
            self._exchange.judge(_text_notes(text))
        self._tolerant(self._stream.writelines, lines)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except Exception as error:
            self._exchange.judge([Note("S57", f"flush() of wsgi.errors raised {shown(error)}")])
            raise

    def _tolerant(self, call: Callable[[Any], Any], value: Any) -> Any:
        try:
            return call(value)
        except UnicodeError as error:
            self._exchange.judge([Note("S44", f"wsgi.errors raised {shown(error)} for {shown(value)}")])
            raise


def _text_notes(text: object) -> Iterable[Note]:
    if type(text) is not str:
        yield Note("A46", f"wsgi.errors got {shown(text)}, of type {type(text).__name__}, not str")
    elif "\r" in text:
        detail = f"{shown(text)} has a carriage return; lines of wsgi.errors end in a line feed"
        yield Note("A46", detail, Verdict.INFO, "pedantic")
