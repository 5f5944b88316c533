"""Check what an app gives to start_response and turn it into the bytes of a response head.

Owns the rules of PEP 3333 "The start_response() Callable" and of RFC 9110 5 for status and fields. It must not know
framing: the lines that depend on it (Content-Length made by us, Transfer-Encoding, Connection, Date) come later.

A HTAB inside a value passes: PEP 3333 forbids every control character, RFC 9110 5.5 allows this one, and refusing it
would break apps that relay a field they received.
"""

from __future__ import annotations

from wsgikit.wire.http11.grammar import NAME_TEXT, STATUS_TEXT, VALUE_TEXT

ORDINARY, CONTENT_LENGTH, DATE, SERVER, HOP_BY_HOP = range(5)

_KINDS = {"content-length": CONTENT_LENGTH, "date": DATE, "server": SERVER} | dict.fromkeys(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ),
    HOP_BY_HOP,
)

# Most responses of an app carry the same few statuses and fields. What was checked and encoded once is kept, up to
# these bounds; then all of it is forgotten. A field value longer than `_SHORT` is most likely made for one response.
# The same goes for whole heads; one that has a field of its own is not worth keeping.
_STATUSES, _FIELDS, _SHORT, _HEADS = 128, 2048, 64, 256
_statuses: dict[str, tuple[int, bytes]] = {}
_fields: dict[tuple[str, str], tuple[int, bytes]] = {}
_heads: dict[tuple[object, ...], ResponseHead] = {}


def response_head(status: str, headers: list[tuple[str, str]]) -> ResponseHead:
    """The checked head, which may be another response's as well. Errors as `ResponseHead`."""
    try:
        known = _heads.get((status, *headers))
    except TypeError:  # something is not hashable, and so is no tuple of strings
        known = None
    if known is not None and type(headers) is list and type(status) is str:
        return known
    head = ResponseHead(status, headers)
    if head.usual:
        if len(_heads) >= _HEADS:
            _heads.clear()
        head.headers = headers[:]
        _heads[status, *headers] = head
    return head


class ResponseHead:
    """A checked status and header list, as Latin-1 bytes, with the facts that framing needs.

    `usual`: all of it had been seen before.

    Raises TypeError for a wrong type and ValueError for a wrong value, in the words of the rule that was broken.
    """

    __slots__ = ("code", "has_date", "has_server", "headers", "length", "lines", "status", "usual")

    def __init__(self, status: str, headers: list[tuple[str, str]]) -> None:
        known = _statuses.get(status) if type(status) is str else None
        self.code, line = known or _learn_status(status)
        if type(headers) is not list:
            raise TypeError(f"response headers must be a list, not {type(headers).__name__} (PEP 3333)")
        self.status = status
        self.headers = headers
        self.length: int | None = None
        self.usual = known is not None
        self.has_date = self.has_server = False
        lines = [line]
        for item in headers:
            try:
                field = _fields.get(item)
            except TypeError:  # not hashable: not a tuple of strings
                field = None
            if field is None:
                field = _learn_field(item)
                self.usual = False
            if field[0]:
                if field[0] == CONTENT_LENGTH:
                    self._note_length(item[1])
                    continue  # sent once, and only if the framing allows it
                self._note(field[0])
            lines.append(field[1])
        self.lines = b"".join(lines)

    def _note_length(self, value: str) -> None:
        length = int(value)  # `_learn_field` saw digits only
        if self.length is not None and self.length != length:
            raise ValueError(f"two different Content-Length values: {self.length} and {length} (RFC 9110 8.6)")
        self.length = length

    def _note(self, kind: int) -> None:
        """Take note of a field that the server would add otherwise."""
        if kind == DATE:
            self.has_date = True
        else:
            self.has_server = True


def _learn_field(item: object) -> tuple[int, bytes]:
    """Check one header and encode its line."""
    if type(item) is not tuple or len(item) != 2:
        raise TypeError(f"a response header must be a (name, value) tuple, not {item!r:.80} (PEP 3333)")
    name, value = item
    kind = _check_name(name)
    _check_value(name, value)
    if kind == CONTENT_LENGTH and (not (value.isascii() and value.isdigit()) or len(value) > 18):
        raise ValueError(f"Content-Length must be digits only, not {value!r:.40} (RFC 9110 8.6)")
    field = kind, f"{name}: {value}\r\n".encode("latin-1")
    if len(value) <= _SHORT:
        if len(_fields) >= _FIELDS:
            _fields.clear()
        _fields[name, value] = field
    return field


def _learn_status(status: object) -> tuple[int, bytes]:
    if type(status) is not str:
        raise TypeError(f"status must be str, not {type(status).__name__} (PEP 3333)")
    if not STATUS_TEXT.fullmatch(status) or len(status) < 4:  # RFC 9112 4: the space stays without a reason
        raise ValueError(f"status must be three digits, a space and a reason, not {status!r:.80} (PEP 3333)")
    if status[0] == "1":
        raise ValueError(f"{status!r:.40} is not a final status; use wsgi.early_hints or wsgikit.takeover")
    known = int(status[:3]), f"HTTP/1.1 {status}\r\n".encode("latin-1")
    if len(_statuses) >= _STATUSES:
        _statuses.clear()
    _statuses[status] = known
    return known


def _check_name(name: object) -> int:
    if type(name) is not str:
        raise TypeError(f"header names must be str, not {type(name).__name__} (PEP 3333)")
    if not NAME_TEXT.fullmatch(name):
        raise ValueError(f"{name!r:.80} is not a field name (RFC 9110 5.6.2)")
    lower = name.lower()
    if lower == "status":
        raise ValueError("a header named Status is CGI's, not HTTP's; give the status as the first argument (PEP 3333)")
    kind = _KINDS.get(lower, ORDINARY)
    if kind == HOP_BY_HOP:
        raise ValueError(
            f"an app may not send the hop-by-hop field {name}: the server manages the connection (PEP 3333, "
            "Other HTTP Features)"
        )
    return kind


def _check_value(name: str, value: object) -> None:
    if type(value) is not str:
        raise TypeError(f"the value of header {name} must be str, not {type(value).__name__} (PEP 3333)")
    if not VALUE_TEXT.fullmatch(value):
        raise ValueError(
            f"the value of header {name} has control characters or is not Latin-1: {value!r:.80} (PEP 3333)"
        )
