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
_LEARNED = 512  # an app has some dozens of field names and statuses; more than this are made up per request
_names: dict[str, int] = {}
_statuses: dict[str, int] = {}


class ResponseHead:
    """A checked status and header list, as Latin-1 bytes, with the facts that framing needs.

    Raises TypeError for a wrong type and ValueError for a wrong value, in the words of the rule that was broken.
    """

    __slots__ = ("code", "has_date", "has_server", "headers", "length", "lines", "status")

    def __init__(self, status: str, headers: list[tuple[str, str]]) -> None:
        code = _statuses.get(status) if type(status) is str else None
        self.code = _learn_status(status) if code is None else code
        if type(headers) is not list:
            raise TypeError(f"response headers must be a list, not {type(headers).__name__} (PEP 3333)")
        self.status = status
        self.length: int | None = None
        self.has_date = self.has_server = False
        lines = [f"HTTP/1.1 {status}\r\n"]
        for item in headers:
            if type(item) is not tuple or len(item) != 2:
                raise TypeError(f"a response header must be a (name, value) tuple, not {item!r:.80} (PEP 3333)")
            name, value = item
            kind = _names.get(name) if type(name) is str else None
            if kind is None:
                kind = _learn_name(name)
            if type(value) is not str or not (value.isascii() and value.isprintable()):
                _check_value(name, value)
            if kind and not self._note(kind, name, value):
                continue
            lines.append(f"{name}: {value}\r\n")
        self.headers = headers[:]  # the app may go on to use its list
        self.lines = "".join(lines).encode("latin-1")

    def _note(self, kind: int, name: str, value: str) -> bool:
        """Take note of a field that matters to the server. False: it is not sent as it stands."""
        if kind == CONTENT_LENGTH:
            if not (value.isascii() and value.isdigit()) or len(value) > 18:
                raise ValueError(f"Content-Length must be digits only, not {value!r:.40} (RFC 9110 8.6)")
            length = int(value)
            if self.length is not None and self.length != length:
                raise ValueError(f"two different Content-Length values: {self.length} and {length} (RFC 9110 8.6)")
            self.length = length
            return False  # the framing writes it, once
        if kind == DATE:
            self.has_date = True
        elif kind == SERVER:
            self.has_server = True
        else:
            raise ValueError(
                f"an app may not send the hop-by-hop field {name}: the server manages the connection (PEP 3333, "
                "Other HTTP Features)"
            )
        return True


def _learn_status(status: object) -> int:
    if type(status) is not str:
        raise TypeError(f"status must be str, not {type(status).__name__} (PEP 3333)")
    if not STATUS_TEXT.fullmatch(status) or len(status) < 4:  # RFC 9112 4: the space stays without a reason
        raise ValueError(f"status must be three digits, a space and a reason, not {status!r:.80} (PEP 3333)")
    if status[0] == "1":
        raise ValueError(f"{status!r:.40} is not a final status; use wsgi.early_hints or wsgikit.takeover")
    code = int(status[:3])
    if len(_statuses) < _LEARNED:
        _statuses[status] = code
    return code


def _learn_name(name: object) -> int:
    if type(name) is not str:
        raise TypeError(f"header names must be str, not {type(name).__name__} (PEP 3333)")
    if not NAME_TEXT.fullmatch(name):
        raise ValueError(f"{name!r:.80} is not a field name (RFC 9110 5.6.2)")
    lower = name.lower()
    if lower == "status":
        raise ValueError("a header named Status is CGI's, not HTTP's; give the status as the first argument (PEP 3333)")
    kind = _KINDS.get(lower, ORDINARY)
    if len(_names) < _LEARNED:
        _names[name] = kind
    return kind


def _check_value(name: str, value: object) -> None:
    if type(value) is not str:
        raise TypeError(f"the value of header {name} must be str, not {type(value).__name__} (PEP 3333)")
    if not VALUE_TEXT.fullmatch(value):
        raise ValueError(
            f"the value of header {name} has control characters or is not Latin-1: {value!r:.80} (PEP 3333)"
        )
