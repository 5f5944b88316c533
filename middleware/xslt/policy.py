"""What stylesheets and documents may do, and how large they may be.

Owns the two settings objects that every part of this package is given. Must not know who enforces them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import choice, texts

__all__ = ["ALLOWED", "DTD", "Limits", "Policy", "policy_from"]

# What a stylesheet may be allowed beyond XSLT itself, and why it is not by default.
ALLOWED = {
    "dynamic": "dyn:evaluate, dyn:map, saxon:evaluate: XPath made at run time, so that data can become code",
    "regexp": "EXSLT regular expressions: a pattern can take for ever",
    "extensions": "functions that a program has registered with the engine: they run its code",
    "entities": "a DTD with declarations in a stylesheet, its entity files from the roots",
}
DTD = ("refuse", "unread", "internal")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Sizes in bytes, but for `nodes` (of a document, attributes too) and `depth` (of its elements).

    `files` and `sheets`: how many files a stylesheet may consist of, and their bytes together.
    """

    source: int = 2 << 20
    nodes: int = 1_000_000
    # libxml2 goes no deeper without giving up its other limits as well
    depth: int = 256
    output: int = 16 << 20
    files: int = 500
    sheets: int = 16 << 20


@dataclass(frozen=True, kw_only=True)
class Policy:
    """`roots`: real paths of folders that stylesheets and document() may read; `uris`: prefixes of URIs that stand
    for folders in them; `allow`: words of `ALLOWED`; `dtd`: what a document's DOCTYPE may have, a word of `DTD`."""

    roots: tuple[str, ...] = ()
    uris: tuple[tuple[str, str], ...] = ()
    allow: frozenset[str] = frozenset()
    dtd: str = "unread"
    limits: Limits = field(default_factory=Limits)


def policy_from(
    sheets: Sequence[str],
    *,
    roots: Sequence[str] | None = None,
    uris: Mapping[str, str] | None = None,
    allow: Sequence[str] = (),
    dtd: str = "unread",
    limits: Limits | None = None,
) -> Policy:
    """The policy that options ask for. Without roots, they are the folders that `sheets` are in. Raises ConfigError."""
    folders = [os.path.dirname(os.path.abspath(path)) for path in sheets] if roots is None else texts(roots, "roots")
    for word in texts(allow, "allow"):
        choice(word, "allow", ALLOWED)
    return Policy(
        roots=tuple(dict.fromkeys(_folder(folder, "roots") for folder in folders)),
        uris=tuple((prefix, _folder(folder, "uris")) for prefix, folder in (uris or {}).items()),
        allow=frozenset(allow),
        dtd=choice(dtd, "dtd", DTD),
        limits=limits or Limits(),
    )


def _folder(path: str, option: str) -> str:
    if not isinstance(path, str) or not os.path.isdir(path):
        raise ConfigError(f"{option}: there is no folder {path!r}")
    return os.path.realpath(path)
