"""Access log formats: a format text is compiled once to a function from an access record to a line.

Owns the names a format can use, and what "combined" and "json" look like. Must not know where lines go.

The names of Gunicorn, with its meaning:

    h  address of the client        m  method                     b  body bytes sent, "-" for none
    l  "-"                          U  target before the "?"      B  the same, 0 for none
    u  user                         q  query                      f  Referer
    t  [20/Nov/2026:06:56:39 +0100] H  protocol                   a  User-Agent
    r  request line                 s  status code                p  <PID>
    T  M  D  L   time of the request: whole seconds, milliseconds, microseconds, seconds with six digits
    {name}i  request header         {name}o  response header      {name}e  variable of the environ

and our own: `wait`, `body`, `app`, `send`, `total` (microseconds), `bytes`, `pid`, `thread`, `target`, `time`
(ISO 8601, UTC) and what the server and middleware noted: `mount`, `route`, `request_id`, `user`, `upstream`. Whatever
is missing is "-".

No client can break a line or a field of it: see `wsgikit.observe.escape`. In a custom format a value outside of quotes
also has the characters escaped that stand beside it in the format (the space in `%(u)s %(t)s`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.observe import clock
from wsgikit.observe.escape import PLAIN, clip, escape, json_text
from wsgikit.observe.record import Access
from wsgikit.observe.settings import COMBINED

Getter = Callable[[Access], object]
Format = Callable[[Access], bytes]

_PLACE = re.compile(r"%(?:\((?P<name>[^()]*)\)s|(?P<percent>%)|(?P<wrong>.|\Z))", re.DOTALL)
_STATUS = re.compile(r"[1-9][0-9]{2}")
_BRACED = re.compile(r"\{([^{}]+)\}([ioe])")


def text(value: object) -> str:
    """A value that an app may have replaced by anything, as text; "-" for nothing."""
    if type(value) is str:
        return value or "-"
    return str(value) if isinstance(value, (int, float, bytes)) else "-" if value is None else type(value).__name__


def user_of(record: Access) -> object:
    return record.facts.get("user") or record.environ.get("REMOTE_USER") or "-"


def target_of(record: Access) -> str:
    return str(record.target, "latin-1")


def request_line(record: Access) -> str:
    """ "-" when the request was refused before it had a method, as in Apache's log."""
    if record.method == "-":
        return "-"
    return f"{record.method} {str(record.target, 'latin-1')} {record.protocol}"


def path_of(record: Access) -> str:
    return target_of(record).partition("?")[0] or "-"


def query_of(record: Access) -> str:
    return target_of(record).partition("?")[2]


def status_of(record: Access) -> str:
    return record.status[:3] or "-"


def request_header(name: str) -> Getter:
    key = name.upper().replace("-", "_")
    if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        key = f"HTTP_{key}"
    return environ_value(key)


def response_header(name: str) -> Getter:
    wanted = name.lower()
    return lambda record: ", ".join(value for field, value in record.headers if field.lower() == wanted) or "-"


def environ_value(name: str) -> Getter:
    return lambda record: record.environ.get(name) or "-"


def fact(name: str) -> Getter:
    return lambda record: record.facts.get(name) or "-"


def microseconds(name: str) -> Getter:
    return lambda record: int(getattr(record, name) * 1_000_000)


# What the server itself made: needs no escape wherever it stands.
OWN: dict[str, Getter] = {
    "l": lambda record: "-",
    "t": lambda record: f"[{clock.common(record.started)}]",
    "time": lambda record: clock.iso(record.started),
    "s": status_of,
    "b": lambda record: record.sent or "-",
    "B": lambda record: record.sent,
    "bytes": lambda record: record.sent,
    "p": lambda record: f"<{clock.getpid()}>",
    "pid": lambda record: clock.getpid(),
    "T": lambda record: int(record.total),
    "M": lambda record: int(record.total * 1000),
    "D": lambda record: int(record.total * 1_000_000),
    "L": lambda record: f"{record.total:.6f}",
    "total": lambda record: int(record.total * 1_000_000),
    "wait": microseconds("wait"),
    "body": microseconds("body"),
    "app": microseconds("app"),
    "send": microseconds("send"),
}

# What a client or an app has a say in.
FOREIGN: dict[str, Getter] = {
    "h": lambda record: record.remote or "-",
    "u": user_of,
    "user": user_of,
    "r": request_line,
    "m": lambda record: record.method,
    "U": path_of,
    "q": query_of,
    "H": lambda record: record.protocol,
    "target": target_of,
    "f": request_header("Referer"),
    "a": request_header("User-Agent"),
    "thread": lambda record: record.thread,
    "mount": fact("mount"),
    "route": fact("route"),
    "request_id": fact("request_id"),
    "upstream": fact("upstream"),
}

BRACED: dict[str, Callable[[str], Getter]] = {"i": request_header, "o": response_header, "e": environ_value}


@dataclass(frozen=True, kw_only=True)
class Place:
    """One `%(name)s` of a format: the literal before it and what may not stand raw in its value."""

    before: str
    name: str
    quoted: bool
    beside: str


def places(form: str) -> tuple[list[Place], str]:
    """The places of a format and the literal after the last one. Raises ConfigError for what is no format."""
    found: list[tuple[str, str]] = []
    literal, end = "", 0
    for match in _PLACE.finditer(form):
        literal += form[end : match.start()]
        end = match.end()
        if match["percent"]:
            literal += "%"
        elif match["name"] is None:
            raise ConfigError(
                f"access_logformat: {form[match.start() :][:8]!r}: write %(name)s, and %% for a percent sign"
            )
        else:
            found.append((literal, match["name"]))
            literal = ""
    tail = literal + form[end:]
    if not found:
        raise ConfigError(f'access_logformat = {form!r}: it is "combined", "json", or a format with %(name)s in it')
    return list(_places(found, tail)), tail


def _places(found: list[tuple[str, str]], tail: str) -> Iterator[Place]:
    quoted = False
    for index, (before, name) in enumerate(found):
        after = found[index + 1][0] if index + 1 < len(found) else tail
        quoted ^= before.count('"') % 2 == 1
        beside = "" if quoted or name == "r" else _separators(before[-1:] + after[:1])
        yield Place(before=before, name=name, quoted=quoted, beside=beside)


def _separators(beside: str) -> str:
    """Only ASCII punctuation separates; letters and digits are what escapes are made of."""
    return "".join(sorted({char for char in beside if char.isascii() and not char.isalnum()} - {'"', "\\"}))


def getter_of(name: str) -> tuple[Getter, bool]:
    """What reads the value, and whether it is foreign. Raises ConfigError for an unknown name."""
    if name in OWN:
        return OWN[name], False
    if name in FOREIGN:
        return FOREIGN[name], True
    if braced := _BRACED.fullmatch(name):
        return BRACED[braced[2]](braced[1]), True
    from difflib import get_close_matches

    near = get_close_matches(name, [*OWN, *FOREIGN], n=1)
    hint = f"; did you mean %({near[0]})s?" if near else ""
    raise ConfigError(f"access_logformat: unknown name %({name})s{hint}")


def compile_format(form: str, limit: int = 0) -> Format:
    """The function that turns a record into a line with its newline. `limit` as `access_log_field_limit`."""
    if form == "json":
        return JsonFormat(limit)
    return CombinedFormat(limit) if form in ("combined", COMBINED) else TextFormat(form, limit)


class TextFormat:
    """Combined and custom formats.

    The common line is plain: it is put together raw and checked once as a whole (ASCII, nothing to escape, as many
    quotes as the format has). Only a line that fails the check, or is longer than a field may be, is made again with
    every value escaped and clipped.
    """

    def __init__(self, form: str, limit: int = 0) -> None:
        found, tail = places(form)
        self._limit = limit or sys.maxsize
        self._template = "".join(f"{_literal(place.before)}%s" for place in found) + _literal(tail) + "\n"
        self._left = (self._template % (("",) * len(found))).encode().translate(None, PLAIN)
        self._raw: list[Getter] = []
        self._careful: list[Getter] = []
        for place in found:
            get, foreign = getter_of(place.name)
            careful = _escaping(get, place.beside, limit) if foreign else get
            self._raw.append(careful if place.beside else get)
            self._careful.append(careful)

    def __call__(self, record: Access) -> bytes:
        try:
            line = self._line(record).encode("ascii")
            if line.translate(None, PLAIN) == self._left and len(line) <= self._limit:
                return line
        except Exception:  # not ASCII, or an app put a thing into the environ that cannot be written
            pass
        return (self._template % tuple([get(record) for get in self._careful])).encode()

    def _line(self, record: Access) -> str:
        return self._template % tuple([get(record) for get in self._raw])


def _literal(before: str) -> str:
    return before.replace("%", "%%")


def _escaping(get: Getter, beside: str, limit: int) -> Getter:
    return lambda record: clip(escape(text(get(record)), beside), limit)


class CombinedFormat(TextFormat):
    """The same for the combined format, whose raw line is worth writing out: it costs a third."""

    def __init__(self, limit: int = 0) -> None:
        super().__init__(COMBINED, limit)

    def _line(self, record: Access) -> str:
        remote, user, get = record.remote or "-", user_of(record), record.environ.get
        if " " in remote or (user != "-" and " " in str(user)):
            return super()._line(record)
        return (
            f'{remote} - {user} [{clock.common(record.started)}] "{request_line(record)}" {record.status[:3] or "-"} '
            f'{record.sent or "-"} "{get("HTTP_REFERER") or "-"}" "{get("HTTP_USER_AGENT") or "-"}"\n'
        )


class JsonFormat:
    """One object a line, in ASCII, the same keys in the same order each time; null for what is missing.

    Times are microseconds. `status` is null when no status was sent. Strings are what PEP 3333 gives an app: bytes
    as Latin-1.
    """

    _TEMPLATE = (
        '{"time": "%s", "remote": %s, "user": %s, "method": %s, "target": %s, "protocol": %s, "status": %s, '
        '"bytes": %d, "total": %d, "wait": %d, "body": %d, "app": %d, "send": %d, "pid": %d, "thread": %s, '
        '"host": %s, "referer": %s, "agent": %s, "mount": %s, "route": %s, "request_id": %s, '
        '"upstream": %s}\n'
    )

    def __init__(self, limit: int = 0) -> None:
        self._limit = limit or sys.maxsize

    def __call__(self, record: Access) -> bytes:
        try:
            line = self._line(record, encode_basestring_ascii)
            if len(line) <= self._limit:
                return line.encode("ascii")
        except TypeError:  # an app put something else than text into the environ
            pass
        return self._line(record, lambda value: json_text(text(value), self._limit)).encode("ascii")

    def _line(self, record: Access, quote: Callable[[Any], str]) -> str:
        get, fact = record.environ.get, record.facts.get
        status = record.status[:3]
        wait, body, app, send = record.wait, record.body, record.app, record.send
        return self._TEMPLATE % (
            clock.iso(record.started),
            quote(record.remote) if record.remote else "null",
            quote(user) if (user := fact("user") or get("REMOTE_USER")) else "null",
            quote(record.method),
            quote(str(record.target, "latin-1")),
            quote(record.protocol),
            status if _STATUS.fullmatch(status) else "null",
            record.sent,
            (wait + body + app + send) * 1_000_000,
            wait * 1_000_000,
            body * 1_000_000,
            app * 1_000_000,
            send * 1_000_000,
            clock.getpid(),
            quote(record.thread),
            quote(value) if (value := get("HTTP_HOST")) else "null",
            quote(value) if (value := get("HTTP_REFERER")) else "null",
            quote(value) if (value := get("HTTP_USER_AGENT")) else "null",
            quote(value) if (value := fact("mount")) else "null",
            quote(value) if (value := fact("route")) else "null",
            quote(value) if (value := fact("request_id")) else "null",
            quote(value) if (value := fact("upstream")) else "null",
        )
