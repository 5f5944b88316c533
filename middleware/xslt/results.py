"""Results that are kept, so that the same document is not transformed again.

Owns a bounded table. Keys hold everything that a result depends on, so nothing in it is ever stale; what is not used is
dropped first. Must not know how results are made.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from hashlib import blake2b
from typing import NamedTuple

__all__ = ["Kept", "Results", "content_digest"]

# what an entry takes beside its body, about
_OVERHEAD = 500


class Kept(NamedTuple):
    body: bytes
    content_type: str


class Results:
    """`limit`: bytes of all together; 0: nothing is kept. One body is at most a quarter of it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._size = 0
        self._table: OrderedDict[tuple[str, ...], Kept] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, ...]) -> Kept | None:
        if not self.limit:
            return None
        with self._lock:
            found = self._table.get(key)
            if found is not None:
                self._table.move_to_end(key)
            return found

    def put(self, key: tuple[str, ...], kept: Kept) -> None:
        size = self._cost(key, kept)
        if not self.limit or size > self.limit // 4:
            return
        with self._lock:
            before = self._table.pop(key, None)
            if before is not None:
                self._size -= self._cost(key, before)
            self._table[key] = kept
            self._size += size
            while self._size > self.limit:
                old, gone = self._table.popitem(last=False)
                self._size -= self._cost(old, gone)

    @staticmethod
    def _cost(key: tuple[str, ...], kept: Kept) -> int:
        return len(kept.body) + sum(map(len, key)) + _OVERHEAD


def content_digest(data: bytes) -> str:
    """A name for a content that nobody can give to another one: 32 hexadecimal digits."""
    return blake2b(data, digest_size=16).hexdigest()
