"""What a result is: method, media type and character encoding.

Owns the rules from `xsl:output` and the result's root element to a Content-Type. Must not know engines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["NO_OUTPUT", "Output", "output_from"]

_XHTML = "{http://www.w3.org/1999/xhtml}html"
_OF_METHOD = {
    "xml": "application/xml",
    "html": "text/html",
    "xhtml": "application/xhtml+xml",
    "text": "text/plain",
    "json": "application/json",
    "adaptive": "text/plain",
}
# RFC 8259: JSON has no charset
_WITHOUT_CHARSET = frozenset(("application/json",))
_CHARSET = re.compile(r""";\s*charset\s*=\s*(?:"[^"]*"|[^;]*)""", re.IGNORECASE)


class Output(NamedTuple):
    """`xsl:output` of a stylesheet with all it imports; "" for what is not said."""

    method: str = ""
    media_type: str = ""
    encoding: str = ""

    @property
    def decided(self) -> bool:
        """Whether the Content-Type is known before there is a result."""
        return bool(self.media_type) or (self.method not in ("", "xml"))

    def media_for(self, root: str | None = None) -> str:
        """The media type, without parameters. `root` is the result's root element as `{namespace}local`, "" where it
        has none, None before there is a result.

        XSLT 1.0, section 16: without a method, a root element `html` in no namespace makes the method html.
        """
        if self.media_type:
            return self.media_type.partition(";")[0].strip().lower()
        method = self.method
        if method in ("", "xml") and root == _XHTML:
            return _OF_METHOD["xhtml"]
        if not method:
            method = "html" if root is None or root.lower() == "html" else "xml"
        return _OF_METHOD.get(method, "application/octet-stream")

    def content_type(self, root: str | None = None) -> str:
        """The value of Content-Type, with the charset that the result is in where the type has one."""
        media = self.media_for(root)
        written = self.media_type or media
        plain = media.startswith("text/") or media == "application/xml" or media.endswith("+xml")
        if not plain or media in _WITHOUT_CHARSET:
            return written
        return f"{_CHARSET.sub('', written)}; charset={(self.encoding or 'utf-8').lower()}"


NO_OUTPUT = Output()


def output_from(attributes: Mapping[str, str]) -> Output:
    """From the attributes of xsl:output, already merged. What cannot stand in a header is dropped."""
    values = {name: attributes.get(name, "").strip() for name in ("method", "media-type", "encoding")}
    method = values["method"].rpartition(":")[2].lower()
    return Output(method, _header_value(values["media-type"]), _header_value(values["encoding"]))


def _header_value(text: str) -> str:
    return text if text.isascii() and text.isprintable() else ""
