"""Status and headers as an app hands them to start_response. Pure: values in, notes out; nothing is changed.

A `str` is checked by `type(x) is str`: the PEP wants the type itself, and servers written in C look no further.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import TracebackType

from wsgikit.validators.lint.notes import Note, shown
from wsgikit.validators.report.model import Verdict
from wsgikit.wire.http11.grammar import NAME_TEXT

# RFC 2616 13.5.1, the list PEP 3333 refers to. It says "Trailers" where the header is "Trailer": both are taken.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    }
)
_PERSISTENCE = frozenset({"connection", "keep-alive", "proxy-connection"})

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HARD_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_WIDE = re.compile(r"[^\x00-\xff]")
_STATUS = re.compile(r"[1-9][0-9]{2} (?:[^ ](?:.*[^ ])?)?", re.DOTALL)
_DIGITS = re.compile(r"[0-9]++")
# RFC 2047 2: no part holds a question mark, so that nothing is looked at twice
_ENCODED_WORD = re.compile(r"=\?[!->@-~]++\?[bBqQ]\?[!->@-~]*+\?=")


def check_status(status: object) -> Iterator[Note]:
    """Rules A06-A10 and A21."""
    if type(status) is not str:
        yield Note("A06", f"the status {shown(status)} is of type {type(status).__name__}, not str")
        return
    if _WIDE.search(status):
        yield Note("A10", f"the status {shown(status)} has a code point above U+00FF")
    text = status.rstrip("\r\n")
    if text != status:
        yield Note("A09", f"the status {shown(status)} ends in a line end")
    if _CONTROL.search(text):
        yield Note("A08", f"the status {shown(status)} has a control character")
    elif not _STATUS.fullmatch(text):
        yield Note("A07", f"the status {shown(status)} is not three digits, one space and a reason")
    if status_code(status) in range(100, 200):
        yield Note("A21", f"the app sends the interim status {shown(status)}; those belong to the server")


def status_code(status: object) -> int:
    """The code of a status, 0 when it has none."""
    digits = status[:3] if isinstance(status, str) else ""
    return int(digits) if len(digits) == 3 and _DIGITS.fullmatch(digits) else 0


def check_headers(headers: object, code: int) -> Iterator[Note]:
    """Rules A11-A20, A49-A51 for the header list that goes with the status `code`."""
    if type(headers) is not list:
        yield Note("A11", f"the response headers are of type {type(headers).__name__}, not list")
        if not isinstance(headers, list | tuple):
            return
    pairs = []
    for item in headers:
        if not isinstance(item, tuple) or len(item) != 2:
            yield Note("A12", f"{shown(item)} in the header list is not a tuple of two")
            continue
        notes = list(check_field(*item))
        yield from notes
        if not any(note.key == "A13" for note in notes):
            pairs.append((item[0].lower(), item[1]))
    yield from _lengths(pairs, code)


def check_field(name: object, value: object) -> Iterator[Note]:
    """What one header can break by itself."""
    for part, text in (("name", name), ("value", value)):
        if type(text) is not str:
            yield Note("A13", f"the header {part} {shown(text)} is of type {type(text).__name__}, not str")
    if type(name) is not str or type(value) is not str:
        return
    yield from _name(name)
    yield from _value(name, value)


def _name(name: str) -> Iterator[Note]:
    if _WIDE.search(name):
        yield Note("A14", f"the header name {shown(name)} has a code point above U+00FF")
    elif not NAME_TEXT.fullmatch(name):
        yield Note("A15", f"{shown(name)} is no header name")
    lower = name.lower()
    if lower in HOP_BY_HOP:
        yield Note("A18", f"the app sends the hop-by-hop header {name}")
    if lower in _PERSISTENCE:
        yield Note("A19", f"the app sends {name}, which decides on the connection")
    if lower == "transfer-encoding":
        yield Note("A20", "the app declares a transfer coding")
    if lower == "status":
        yield Note("A51", "a header named Status; the status is the first argument of start_response")


def _value(name: str, value: str) -> Iterator[Note]:
    if _WIDE.search(value):
        yield Note("A14", f"the value of {name}, {shown(value)}, has a code point above U+00FF")
    if _HARD_CONTROL.search(value):
        yield Note("A16", f"the value of {name}, {shown(value)}, has a control character")
    elif "\t" in value:
        yield Note("A16", f"the value of {name}, {shown(value)}, has a tab", Verdict.INFO, "pedantic")
    for match in _ENCODED_WORD.finditer(value) if "=?" in value else ():
        if not _decodes(match[0]):
            yield Note("A17", f"the value of {name} has an encoded word that does not decode: {shown(match[0])}")


def _decodes(word: str) -> bool:
    from email.errors import MessageError
    from email.header import decode_header, make_header

    try:
        str(make_header(decode_header(word)))
    except (MessageError, ValueError, LookupError):
        return False
    return True


def _lengths(pairs: list[tuple[str, str]], code: int) -> Iterator[Note]:
    values = [value for name, value in pairs if name == "content-length"]
    for value in values:
        if not _DIGITS.fullmatch(value):
            yield Note("A49", f"Content-Length is {shown(value)}, not a number of ASCII digits")
    if len(set(values)) > 1:
        yield Note("A49", f"there are several Content-Length headers, and they differ: {', '.join(map(shown, values))}")
    if values and (code == 204 or 100 <= code < 200):
        yield Note("A50", f"a {code} response has no Content-Length, the app sends {shown(values[0])}")


def declared_length(headers: object) -> int | None:
    """The Content-Length that the list declares, None when there is none or no usable one."""
    if not isinstance(headers, list | tuple):
        return None
    found = {
        item[1]
        for item in headers
        if isinstance(item, tuple)
        and len(item) == 2
        and isinstance(item[0], str)
        and isinstance(item[1], str)
        and item[0].lower() == "content-length"
    }
    value = found.pop() if len(found) == 1 else ""
    return int(value) if _DIGITS.fullmatch(value) and len(value) < 20 else None


def check_exc_info(exc_info: object) -> Iterator[Note]:
    """Rules A34 and A35 for a third argument that is not None."""
    if exc_info == (None, None, None):
        yield Note("A35", "exc_info is (None, None, None): no error is being handled")
        return
    if not isinstance(exc_info, tuple) or len(exc_info) != 3:
        yield Note("A34", f"exc_info is {shown(exc_info)}, not a tuple of three")
        return
    kind, error, trace = exc_info
    if not (isinstance(kind, type) and issubclass(kind, BaseException) and isinstance(error, kind)):
        yield Note("A34", f"exc_info does not begin with a class and its exception: {shown(exc_info)}")
    elif trace is not None and not isinstance(trace, TracebackType):
        yield Note("A34", f"the third part of exc_info is {shown(trace)}, not a traceback")
