"""Entity tags of results: made of the source's tag, the stylesheets and the parameters, and taken apart again.

    W/"<source's tag>-s<stylesheets: 12><parameters: 16>"

Owns that form. `s` or `w` says whether the source's tag was strong. From a tag that a client sends back it is seen,
without any work, whether stylesheets and parameters are still the same, and what to ask the app for. Must not know
stylesheets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple

__all__ = ["PARAMETERS", "Tag", "chain_digest", "holds", "listed", "make", "taken_apart"]

# digits of the parameters' digest in a tag
PARAMETERS = 16
_TAGS = re.compile(r'(W/)?"([^"]*)"')
_OURS = re.compile(r"(.*)-([swh])([0-9a-f]{12})([0-9a-f]{16})", re.DOTALL)


class Tag(NamedTuple):
    """A tag of ours: the source's own, the digest of the chain, that of the parameters.

    `source` is "" where the source had none and its content was taken instead."""

    source: str
    chain: str
    parameters: str
    opaque: str


def make(source: str, content: str, chain: str, parameters: str) -> str:
    """The tag of a result. `source`: the source's tag as in its ETag, or "" and `content` a digest of it; `parameters`:
    their digest, of which the beginning is enough for a client that compares with its own copy alone."""
    parameters = parameters[:PARAMETERS]
    if source:
        weak = source.startswith("W/")
        opaque = source.removeprefix("W/").strip('"')
        return f'W/"{opaque}-{"w" if weak else "s"}{chain}{parameters}"'
    return f'W/"{content}-h{chain}{parameters}"'


def listed(field: str) -> list[str]:
    """The tags of If-None-Match (RFC 9110 13.1.2), "*" among them if it is there."""
    if field.strip(" \t") == "*":
        return ["*"]
    return [f'{weak}"{opaque}"' for weak, opaque in _TAGS.findall(field)]


def taken_apart(tag: str) -> Tag | None:
    """A tag of ours in its parts; None: it is not."""
    match = _OURS.fullmatch(tag.removeprefix("W/").strip('"')) if tag.startswith("W/") else None
    if match is None:
        return None
    opaque, kind, chain, parameters = match.groups()
    source = {"s": f'"{opaque}"', "w": f'W/"{opaque}"', "h": ""}[kind]
    return Tag(source, chain, parameters, opaque)


def holds(field: str, tag: str) -> bool:
    """Whether If-None-Match names a tag; weak comparison (RFC 9110 8.8.3.2)."""
    tags = listed(field)
    return "*" in tags or tag.removeprefix("W/") in [other.removeprefix("W/") for other in tags]


def chain_digest(fingerprints: Sequence[str], *more: str) -> str:
    """A name for a chain of stylesheets as they are now: 12 hexadecimal digits."""
    return _digest((*fingerprints, *more), 6)


def _digest(texts: Iterable[str], size: int) -> str:
    return blake2b("\0".join(texts).encode(), digest_size=size).hexdigest()
