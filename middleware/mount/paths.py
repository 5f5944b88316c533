"""What to do about `.`, `..` and `//` in a path before it is decided which app it belongs to.

Owns: RFC 3986 5.2.4 on PATH_INFO, and the policies. Must not know mounts.

PATH_INFO is decoded, so `%2e%2e` and `..%2f` are seen here as `..`. What counts is that no app behind gets a path that
it, or a server it forwards to, would resolve to a place outside its mount.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from wsgikit.errors import ConfigError
from wsgikit.middleware.router.convert import nearest
from wsgikit.middleware.router.target import raw_parts, replace_path

DOTS = ("reject", "normalise", "pass")
SLASHES = ("pass", "merge", "reject")

# With what some servers read as such, too: `..;x`, whose parameter Tomcat takes off, and `\` for `/` as on Windows.
_DOT_SEGMENT = re.compile(r"(?:^|[/\\])\.\.?(?:;[^/\\]*)?(?:[/\\]|\Z)")
_SLASHES = re.compile("/{2,}")


class PathPolicy:
    """The two policies of a mount table. Frozen.

    dots     "reject": no app gets a path with dot segments. "normalise": they are resolved first; what would climb
             above the root stays there. "pass": apps get them
    slashes  "pass": empty segments are segments. "merge": `//` is `/`. "reject": no app gets a path with `//`
    """

    __slots__ = ("dots", "slashes")

    def __init__(self, dots: str, slashes: str) -> None:
        for name, value, known in (("dots", dots, DOTS), ("slashes", slashes, SLASHES)):
            if value not in known:
                raise ConfigError(f"mount: {name}={value!r}{nearest(str(value), known)}")
        self.dots = dots
        self.slashes = slashes

    def applied(self, environ: dict[str, Any]) -> dict[str, Any] | None:
        """The environ, or a copy with a cleaned path; None for a path that is rejected."""
        info: str = environ.get("PATH_INFO", "")
        dotted = self.dots != "pass" and "." in info and _DOT_SEGMENT.search(info) is not None
        doubled = self.slashes != "pass" and "//" in info
        if (dotted and self.dots == "reject") or (doubled and self.slashes == "reject"):
            return None
        if not (dotted or doubled):
            return environ
        cleaned = self._clean(info, escaped=False)
        if dotted and _DOT_SEGMENT.search(cleaned):
            return None  # behind a backslash
        copy = dict(environ)
        sent = raw_parts(environ)
        replace_path(copy, cleaned, sent[0] + self._clean(sent[1], escaped=True) if sent else None)
        return copy

    def _clean(self, path: str, *, escaped: bool) -> str:
        if self.slashes == "merge":
            path = _SLASHES.sub("/", path)
        return without_dots(path, escaped=escaped) if self.dots == "normalise" else path


def without_dots(path: str, *, escaped: bool = False) -> str:
    """Resolve dot segments as RFC 3986 5.2.4 does; `..` at the root stays at the root.

    escaped: the path is percent-encoded, so that `%2e` is a dot (RFC 3986 6.2.2.2). A parameter (`..;x`) is no matter.
    """
    kept: list[str] = []
    plain = ""
    for segment in path.split("/"):
        plain = (unquote(segment) if escaped else segment).partition(";")[0]
        if plain == ".." and len(kept) > 1:
            kept.pop()
        elif plain not in (".", ".."):
            kept.append(segment)
    if plain in (".", ".."):
        kept.append("")
    return "/".join(kept)
