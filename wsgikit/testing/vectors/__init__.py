"""HTTP/1.1 vectors H01-H64: what clients and attackers send, and what has to come of it. Standard library only.

    VECTORS                 all of them, in order
    by_id("H25-plus")       one
    of_row("H25")           all variations of a row

The parser's tests, the server's tests and `wsgikit check server` iterate over the same data; `model` says how to carry
a vector out and what an outcome is. The rows follow RFC 9110 and RFC 9112; where these leave latitude, `expect` is the
strict reading and `allowed` has the others.
"""

from __future__ import annotations

from wsgikit.testing.vectors import chunks, connections, fields, lengths, responses, start_line
from wsgikit.testing.vectors.model import FOLLOW_UP, REFUSALS, SMUGGLED, App, Call, Level, Outcome, Reply, Vector

__all__ = [
    "FOLLOW_UP",
    "REFUSALS",
    "SMUGGLED",
    "VECTORS",
    "App",
    "Call",
    "Level",
    "Outcome",
    "Reply",
    "Vector",
    "by_id",
    "of_row",
]

VECTORS: tuple[Vector, ...] = tuple(
    vector for part in (start_line, fields, lengths, chunks, connections, responses) for vector in part.rows()
)

_BY_ID = {vector.id: vector for vector in VECTORS}


def by_id(identifier: str) -> Vector:
    """The vector with this id. Raises KeyError."""
    return _BY_ID[identifier]


def of_row(row: str) -> tuple[Vector, ...]:
    """The variations of a row, () for a row that does not exist."""
    return tuple(vector for vector in VECTORS if vector.row == row)
