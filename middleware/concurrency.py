"""How many requests may be under way at once, counted over all workers.

    Use(Concurrency, limit=20)                                   # all together
    Use(Concurrency, limit=2, key="address", when=path("/export"))

Options
    limit         requests at once
    key           "all" for one count; "address", "user", "header:NAME" or a function of the environ: each client has
                  its own ("all")
    ipv6_prefix   how many bits of an IPv6 address are one client (64)
    rows          how many clients can be counted at once (1 for "all", else 1000)
    retry_after   seconds told in Retry-After ("1s")
    name          layers with the same name and limit count together ("")

One too many is answered 503 (429 with a key of its own) and the app is not called. A request counts until its response
is closed, so a slow download counts as long as it takes. A worker that dies gives back what it had taken as soon as the
limit is reached.

Streaming: bodies are not touched. Memory: `rows` x 800 bytes in the scoreboard. Up to 63 processes share a count; the
requests of more than that are not limited. Other servers: each process counts for itself, or all that were forked after
the app was loaded (gunicorn --preload) together; a file body loses its fast way there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from wsgikit.middleware.amounts import Amount, seconds, whole
from wsgikit.middleware.answer import answer
from wsgikit.middleware.client_key import Key, client_key
from wsgikit.wsgi.wrap import Response, wrap

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Concurrency"]

_CELLS = 64
# Cell 0 is the sum; every other cell is a process id and its count, so that who has died can be told from who is alive.
_COUNT_BITS = 24
_COUNT = (1 << _COUNT_BITS) - 1


class _Place:
    """Which cell this process had last: it is likely to be the one in the next row, too."""

    __slots__ = ("index",)

    def __init__(self) -> None:
        self.index = 1


class Concurrency:
    """Answers 503 to one request too many. See the module for the options."""

    traits = frozenset({"by-address"})

    def __init__(
        self,
        app: WSGIApplication,
        *,
        limit: int,
        key: Key = "all",
        ipv6_prefix: int = 64,
        rows: int | None = None,
        retry_after: Amount = "1s",
        name: str = "",
    ) -> None:
        from wsgikit import scoreboard

        self.app = app
        self.limit = whole(limit, "limit", 1, _COUNT)
        self.key = client_key(key, whole(ipv6_prefix, "ipv6_prefix", 1, 128))
        wanted = (1 if key == "all" else 1000) if rows is None else whole(rows, "rows", 1)
        self.table = scoreboard.current().table("concurrency", rows=wanted, cells=_CELLS)
        self.prefix = f"{name}\0{limit}\0".encode()
        self.retry_after = str(max(1, round(seconds(retry_after, "retry_after"))))
        self.code = 503 if key == "all" else 429
        self.place = _Place()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        who = self.key(environ)
        if not who:
            return self.app(environ, start_response)
        key = self.prefix + who.encode()
        if not self.table.update(key, self._enter):
            detail = "Too many requests are under way; please try again."
            return answer(environ, start_response, self.code, detail, [("Retry-After", self.retry_after)])

        def leave(response: Response) -> None:
            self.table.update(key, self._leave)

        return wrap(self.app, environ, start_response, on_close=leave)

    def _enter(self, row: Any) -> bool:
        if row[0] >= self.limit and not _bury(row, self.limit):
            return False
        mine = self._own_cell(row, take=True)
        if mine:
            row[mine] += 1
            row[0] += 1
        return True

    def _leave(self, row: Any) -> None:
        mine = self._own_cell(row, take=False)
        # the row may have been forgotten meanwhile, and be another client's now
        if mine and row[mine] & _COUNT:
            row[mine] -= 1
            row[0] -= 1

    def _own_cell(self, row: Any, *, take: bool) -> int:
        """Index of this process's cell; 0 when it has none and there is none free."""
        pid = os.getpid()
        index = self.place.index
        if row[index] >> _COUNT_BITS == pid:
            return index
        cells = row.tolist()
        mine = next((index for index in range(1, _CELLS) if cells[index] >> _COUNT_BITS == pid), 0)
        if not mine and take:
            mine = next((index for index in range(1, _CELLS) if not cells[index] & _COUNT), 0)
            if mine:
                row[mine] = pid << _COUNT_BITS
        if mine:
            self.place.index = mine
        return mine


def _bury(row: Any, limit: int) -> bool:
    """Drop what dead processes have counted, and sum up anew; whether there is room then."""
    total = 0
    for index, cell in enumerate(row.tolist()):
        count = cell & _COUNT
        if index and count:
            if _is_dead(cell >> _COUNT_BITS):
                row[index] = 0
            else:
                total += count
    row[0] = total
    return total < limit


def _is_dead(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
