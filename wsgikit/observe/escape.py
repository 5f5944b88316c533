"""Text that others chose (clients, apps) made safe for one line of a log.

Owns the escapes and the clipping. A line is printable ASCII: a quote, a backslash, a control or anything beyond ASCII
becomes \\xhh, byte by byte, as nginx writes it (Apache too, but for `\\"` and `\\n`: one form is easier to read back).
"""

from __future__ import annotations

import re
from json.encoder import encode_basestring_ascii

_HEX = [f"\\x{code:02x}" for code in range(256)]
_PLAIN = {code: chr(code) for code in range(0x20, 0x7F) if chr(code) not in '"\\'}
_TABLE = {code: _PLAIN.get(code, _HEX[code]) for code in range(256)}

PLAIN = "".join(_PLAIN.values()).encode()
"""The bytes that need no escape; what `bytes.translate` leaves when it deletes them is what has to be looked at."""

# The longest run of whole characters and whole escapes, ours (\xhh) or those of JSON.
_WHOLE = re.compile(r"(?:[^\\]|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\[^ux])*")
_ESCAPED = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "v": "\v", "f": "\f"}


def is_plain(text: str) -> bool:
    """Whether `text` can stand in a line as it is, inside quotes."""
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def escape(text: str, also: str = "") -> str:
    """`text` as printable ASCII without a raw quote or backslash, and without the characters of `also` (punctuation).

    Characters above U+00FF, which only an app can have put there, are written as their UTF-8 bytes.
    """
    if not is_plain(text):
        if not text.isascii() and max(text) > "\xff":
            text = text.encode("utf-8", "surrogatepass").decode("latin-1")
        text = text.translate(_TABLE)
    for char in also:
        if char in text:
            text = text.replace(char, _HEX[ord(char)])
    return text


def unescape(text: str) -> str:
    """Undo `escape`; reads Apache's escapes as well."""
    if "\\" not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else _LETTERS.get(found[2], found[2]), text)


def clip(escaped: str, limit: int) -> str:
    """At most `limit` characters (0: all), the last three "..." when some are missing; cuts no escape in two."""
    if not limit or len(escaped) <= limit:
        return escaped
    found = _WHOLE.match(escaped[: limit - 3])
    return (found[0] if found else "") + "..."


def json_text(text: str, limit: int = 0) -> str:
    """`text` as a JSON string with its quotes, in ASCII; at most `limit` characters between the quotes."""
    quoted = encode_basestring_ascii(text)
    if not limit or len(quoted) - 2 <= limit:
        return quoted
    return f'"{clip(quoted[1:-1], limit)}"'
