"""Tables of numbers that all workers see: bounded, keyed by bytes, changed atomically.

A table is a hash table of buckets with 32 rows each. A row has a key (a 16-byte blake2b digest of the caller's key),
the time of its last change, and cells (int64 or float64). A key belongs to one bucket, one lock guards a bucket, and
when a bucket is full its stalest row makes place: nothing is ever moved, so a process that dies half-way leaves at
worst one row half changed. Half as many rows again as asked for are kept, so that buckets seldom fill before the table
does.

Memory: 1.5 x rows x (24 + 8 x cells) bytes, rounded up to whole buckets; pages never written are never taken.
"""

from __future__ import annotations

from collections.abc import Callable
from mmap import mmap
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, TypeVar

from wsgikit.errors import ConfigError
from wsgikit.scoreboard.locks import RangeLocks

if TYPE_CHECKING:
    Cells = memoryview[Any]

T = TypeVar("T")

WAYS = 32
_DIGEST = 16
_ENTRY = 8  # cells of a directory entry: digest (2), place, rows, cells, kind
ENTRIES = 64
DIRECTORY_BYTES = ENTRIES * _ENTRY * 8
_DIRECTORY_LOCK = 1
_BUCKET_LOCKS = 1 << 32  # lock numbers of table n start at (n + 1) times this


def _digest_function() -> Callable[[bytes], bytes]:
    # Imported late: hashlib loads OpenSSL, and many servers have no shared table.
    from hashlib import blake2b

    return lambda key: blake2b(key, digest_size=_DIGEST).digest()


def _cast(view: memoryview, kind: str) -> Cells:
    return view.cast("d") if kind == "d" else view.cast("q")


class Table:
    """Rows of `cells` numbers by key. Made by `Scoreboard.table`; the same name is the same memory in all workers."""

    def __init__(self, memory: mmap, locks: RangeLocks, entry: Entry) -> None:
        self.cells = entry.cells
        self.kind = entry.kind
        self._memory = memory
        self._locks = locks
        self._digest = _digest_function()
        self._first_lock = (entry.index + 1) * _BUCKET_LOCKS
        self._buckets = entry.buckets
        rows = entry.buckets * WAYS
        self._keys = entry.place
        stamps = entry.place + rows * _DIGEST
        values = stamps + rows * 8
        view = memoryview(memory)
        self._stamps: Cells = view[stamps:values].cast("q")
        self._values = _cast(view[values : values + rows * entry.cells * 8], entry.kind)

    def update(self, key: bytes, change: Callable[[Cells], T]) -> T:
        """What `change(row)` returns; it may read and write the row's cells, all zero when the key is new.

        No other thread or process changes the row meanwhile. `change` must be short, must not wait, and must not use a
        shared table (RuntimeError). When it raises, what it wrote so far stays.
        """
        digest = self._digest(key)
        bucket = int.from_bytes(digest[:8], "little") % self._buckets

        def locked() -> T:
            row = self._find(digest, bucket)
            if row < 0:
                row = self._take(digest, bucket)
            self._stamps[row] = monotonic_ns()
            return change(self._row(row))

        return self._locks.run(self._first_lock + bucket, locked)

    def add(self, key: bytes, amount: float, cell: int = 0) -> Any:
        """Add to one cell; the new value."""

        def change(row: Cells) -> Any:
            row[cell] += amount
            return row[cell]

        return self.update(key, change)

    def read(self, key: bytes) -> tuple[Any, ...] | None:
        """The cells of a key, None when it has no row. Takes no lock: cells changed together may be seen apart."""
        digest = self._digest(key)
        bucket = int.from_bytes(digest[:8], "little") % self._buckets
        row = self._find(digest, bucket)
        if row < 0:
            return None
        values = tuple(self._row(row))
        # The row may have gone to another key since.
        at = self._keys + row * _DIGEST
        return values if self._memory[at : at + _DIGEST] == digest else None

    def delete(self, key: bytes) -> bool:
        """Forget a key; False when it had no row."""
        digest = self._digest(key)
        bucket = int.from_bytes(digest[:8], "little") % self._buckets

        def locked() -> bool:
            row = self._find(digest, bucket)
            if row >= 0:
                self._write_key(row, bytes(_DIGEST))
            return row >= 0

        return self._locks.run(self._first_lock + bucket, locked)

    def __len__(self) -> int:
        """Rows in use. Reads every key: for status pages, not for requests."""
        empty = bytes(_DIGEST)
        keys = self._memory[self._keys : self._keys + self._buckets * WAYS * _DIGEST]
        return sum(keys[at : at + _DIGEST] != empty for at in range(0, len(keys), _DIGEST))

    def _row(self, row: int) -> Cells:
        return self._values[row * self.cells : (row + 1) * self.cells]

    def _find(self, digest: bytes, bucket: int) -> int:
        """Number of the row with this key, -1 when there is none."""
        start = self._keys + bucket * WAYS * _DIGEST
        end = start + WAYS * _DIGEST
        at = self._memory.find(digest, start, end)
        while at >= 0 and (at - start) % _DIGEST:  # the tail of one key and the head of the next look like this one
            at = self._memory.find(digest, at + 1, end)
        return -1 if at < 0 else (at - self._keys) // _DIGEST

    def _take(self, digest: bytes, bucket: int) -> int:
        """An empty row of the bucket, else its stalest one, zeroed and under its new key."""
        row = self._find(bytes(_DIGEST), bucket)
        if row < 0:
            rows = range(bucket * WAYS, (bucket + 1) * WAYS)
            row = min(rows, key=self._stamps.__getitem__)
        # Key last: whoever dies here leaves an empty row, not old numbers under a new key.
        self._write_key(row, bytes(_DIGEST))
        self._row(row)[:] = _cast(memoryview(bytes(self.cells * 8)), self.kind)
        self._write_key(row, digest)
        return row

    def _write_key(self, row: int, digest: bytes) -> None:
        at = self._keys + row * _DIGEST
        self._memory[at : at + _DIGEST] = digest

    def close(self) -> None:
        self._stamps.release()
        self._values.release()


class Entry:
    """Where a table lies: one line of the directory."""

    __slots__ = ("buckets", "cells", "index", "kind", "place")

    def __init__(self, index: int, place: int, buckets: int, cells: int, kind: str) -> None:
        self.index = index
        self.place = place
        self.buckets = buckets
        self.cells = cells
        self.kind = kind

    @property
    def size(self) -> int:
        return self.buckets * WAYS * (_DIGEST + 8 + 8 * self.cells)


class Directory:
    """The list of tables, itself in the shared memory, so that workers that load their app alone find each other's.

    Entries are written once and never change. A table asked for again with other sizes (a reload with new options) is a
    new table: old workers still use the old one. Its memory comes back when the master is started again.
    """

    def __init__(self, memory: mmap, locks: RangeLocks, place: int) -> None:
        self._memory = memory
        self._locks = locks
        self._entries: Cells = memoryview(memory)[place : place + DIRECTORY_BYTES].cast("q")
        self._arena = place + DIRECTORY_BYTES

    def entry(self, name: str, rows: int, cells: int, kind: str) -> Entry:
        """The table of that name and shape, made when it is not there.

        ConfigError: a wrong shape, or no place left.
        """
        if rows < 1 or not 1 <= cells <= 64 or kind not in ("q", "d"):
            raise ConfigError(f"shared table {name!r}: rows >= 1, cells 1-64 and kind 'q' or 'd' are allowed")
        buckets = -(-rows * 3 // (2 * WAYS))
        identity = _digest_function()(f"{name}\0{buckets}\0{cells}\0{kind}".encode())
        return self._locks.run(
            _DIRECTORY_LOCK, lambda: self._find_or_make(name, identity, Entry(0, 0, buckets, cells, kind))
        )

    def _find_or_make(self, name: str, identity: bytes, wanted: Entry) -> Entry:
        first, second = (
            int.from_bytes(identity[:8], "little", signed=True),
            int.from_bytes(identity[8:], "little", signed=True),
        )
        entries, place = self._entries, self._arena
        for index in range(ENTRIES):
            line = entries[index * _ENTRY : (index + 1) * _ENTRY]
            if line[2] == 0:
                break
            wanted.index, wanted.place = index, line[2]
            if line[0] == first and line[1] == second:
                return wanted
            place = line[2] + line[3]
        else:
            raise ConfigError(f"shared table {name!r}: there are {ENTRIES} shared tables already, no more are possible")
        place = (place + 63) & ~63  # a cache line
        free = len(self._memory) - place
        if wanted.size > free:
            raise ConfigError(
                f"shared table {name!r} needs {wanted.size} bytes, {max(free, 0)} are left: "
                "raise shared_memory, or ask for fewer rows"
            )
        wanted.index, wanted.place = index, place
        line[0], line[1], line[3] = first, second, wanted.size
        line[2] = place  # last: it makes the entry valid
        return wanted

    def close(self) -> None:
        self._entries.release()
