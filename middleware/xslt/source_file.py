"""A source that is read at once, where another body would be awaited block by block.

Owns what may be done with what `wsgi.file_wrapper` made, and with any body on servers that send the head with an empty
block. Must not know responses.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wsgikit.wsgi.file_wrapper import FileWrapper

__all__ = ["begun", "close", "read", "sends_early"]

# PEP 3333, "The start_response() Callable", has servers keep the head until there is a block with something in it, so
# that another one can take its place. None of these does (seen with gunicorn 27.0, uWSGI 2.0.31, Werkzeug 3.1, Granian
# 2.8 and wsgiref; mod_wsgi was not tried), and who gives them empty blocks while it collects has no say any more.
_EARLY = frozenset(("gunicorn.socket", "uwsgi.version", "werkzeug.socket", "mod_wsgi.version"))
_EARLY_NAMES = re.compile(r"WSGIServer/|Granian")


def sends_early(environ: Mapping[str, Any]) -> bool:
    """Whether the server is one that sends the head with an empty block."""
    return not _EARLY.isdisjoint(environ) or _EARLY_NAMES.match(str(environ.get("SERVER_SOFTWARE", ""))) is not None


class _Rest:
    """Blocks that were read already, and those that follow."""

    def __init__(self, blocks: list[bytes], iterator: Iterator[bytes], iterable: Any) -> None:
        self._blocks = blocks
        self._iterator = iterator
        self._iterable = iterable

    def __iter__(self) -> Iterator[bytes]:
        yield from self._blocks
        yield from self._iterator

    def close(self) -> None:
        close(self._iterable)


def close(iterable: Any) -> None:
    """What PEP 3333 asks of whoever reads a body no further."""
    found = getattr(iterable, "close", None)
    if found is not None:
        found()


def read(iterable: Any, length: int | None, limit: int) -> Iterable[bytes]:
    """A file's blocks, and the file closed; one that is larger than `limit` bytes is not read to its end.

    `length`: of its Content-Length, at most `limit`."""
    blocks: list[bytes] = []
    try:
        if length is not None and type(iterable) is FileWrapper and type(iterable.filelike) is io.FileIO:
            # one call and one piece of memory; what the file has grown by since is not part of this body
            blocks.append(iterable.filelike.read(length))
        else:
            iterator = iter(iterable)
            for block in iterator:
                blocks.append(block)
                limit -= len(block)
                if limit < 0:
                    return _Rest([b"".join(blocks)], iterator, iterable)
    except BaseException:
        close(iterable)
        raise
    close(iterable)
    return blocks


def begun(iterable: Iterable[bytes]) -> Iterable[bytes]:
    """The same body, of which the first block is there: an app that is a generator has called start_response then."""
    try:
        iterator = iter(iterable)
        first = next(iterator, None)
    except BaseException:
        close(iterable)
        raise
    return _Rest([] if first is None else [first], iterator, iterable)
