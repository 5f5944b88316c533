"""The shared memory that the master makes before it forks: a slot for each worker, and an arena for tables.

It knows neither sockets nor signals: the master claims and releases slots, a worker writes its own, anybody reads.
The map is anonymous and bounded: 512 bytes a slot, plus the arena; the kernel gives a page when it is first written.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from mmap import mmap
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from wsgikit.scoreboard.cells import CELLS, COUNTERS, FREE, GENERATION, LABEL, PID, STARTED, STARTING, STATE, STOPPED
from wsgikit.scoreboard.locks import RangeLocks
from wsgikit.scoreboard.tables import DIRECTORY_BYTES, Directory, Table

if TYPE_CHECKING:
    Cells = memoryview[Any]

_SLOT_LOCK = 0
# Cells of the first header line.
_VERSION = 0  # odd while a slot is being emptied into the totals
_USED = 1  # slots from this one on were never taken: nobody need look at them
_READ_TRIES = 1000


class Slot:
    """One worker's line: `cells` is a memoryview of 64 signed 64-bit numbers, see `wsgikit.scoreboard.cells`."""

    __slots__ = ("cells", "index")

    def __init__(self, index: int, cells: Cells) -> None:
        self.index = index
        self.cells = cells

    def read(self) -> tuple[int, ...]:
        """All cells of one and the same worker; single cells are exact, but not all of the same instant."""
        for _ in range(_READ_TRIES):
            generation = self.cells[GENERATION]
            values = tuple(self.cells)
            same = generation == values[GENERATION] == self.cells[GENERATION]
            if same and values[STATE] == self.cells[STATE]:  # else it may be half emptied
                break
        return values

    @property
    def group(self) -> str:
        """Name of the worker group, "" for the front one; cut at 32 bytes of UTF-8."""
        return self.cells[LABEL:CELLS].tobytes().rstrip(b"\0").decode("utf-8", "replace")


class Scoreboard:
    """Slots and tables. `slots` is how many workers there can be at once, old and new ones of a reload included.

    `arena` is the memory in bytes for tables.
    """

    def __init__(self, slots: int = 256, arena: int = 16 * 1024 * 1024) -> None:
        directory = (2 + slots) * CELLS * 8
        self._memory = mmap(-1, directory + DIRECTORY_BYTES + arena)
        self._view: Cells = memoryview(self._memory)[:directory].cast("q")
        self._header = self._line(0)
        self._past = self._line(1)
        self._locks = RangeLocks()
        self._directory = Directory(self._memory, self._locks, directory)
        self._tables: dict[tuple[str, int, int, str], Table] = {}
        self.slots = tuple(Slot(index, self._line(index + 2)) for index in range(slots))
        _renew_locks_in_children(self._locks)

    def _line(self, number: int) -> Cells:
        return self._view[number * CELLS : (number + 1) * CELLS]

    def slot(self, index: int) -> Slot:
        return self.slots[index]

    def claim(self, group: str = "") -> Slot | None:
        """A free slot, zeroed, in state STARTING and with its next generation; None when all are taken."""
        return self._locks.run(_SLOT_LOCK, lambda: self._claim(group))

    def _claim(self, group: str) -> Slot | None:
        slot = next((slot for slot in self.slots if slot.cells[STATE] == FREE), None)
        if slot is None:
            slot = next((slot for slot in self.slots if _is_gone(slot.cells[PID])), None)
            if slot is None:
                return None
            self._empty(slot)
        self._header[_USED] = max(self._header[_USED], slot.index + 1)
        slot.cells[STARTED] = int(time.time() * 1000)
        label = group.encode()[: (CELLS - LABEL) * 8].ljust((CELLS - LABEL) * 8, b"\0")
        slot.cells[LABEL:CELLS] = memoryview(label).cast("q")
        slot.cells[GENERATION] += 1
        slot.cells[STATE] = STARTING
        return slot

    def release(self, slot: Slot) -> None:
        """Give a slot back once its worker is gone; what it had counted goes into `totals()`."""
        self._locks.run(_SLOT_LOCK, lambda: self._empty(slot))

    def _empty(self, slot: Slot) -> None:
        cells, past = slot.cells, self._past
        # From the version, not +1: a master that died in here must not leave it odd for ever.
        self._header[_VERSION] |= 1
        cells[STATE] = STOPPED  # before anything else goes: nobody is to see a ready worker without a process
        for cell in COUNTERS:
            past[cell] += cells[cell]
        for cell in range(CELLS):
            if cell not in (GENERATION, STATE):
                cells[cell] = 0
        cells[STATE] = FREE
        self._header[_VERSION] += 1

    def sweep(self) -> None:
        """Release slots whose worker is gone although nobody released them: its own parent died first."""
        if any(_is_gone(slot.cells[PID]) for slot in self.live()):
            self._locks.run(_SLOT_LOCK, self._sweep)

    def _sweep(self) -> None:
        for slot in self.live():
            if _is_gone(slot.cells[PID]):
                self._empty(slot)

    def live(self) -> Iterator[Slot]:
        """Slots that are taken."""
        return (slot for slot in self.slots[: self._header[_USED]] if slot.cells[STATE] != FREE)

    def totals(self) -> list[int]:
        """Sums over all slots, by cell. Counters include the workers that are gone and so never go back."""
        for _ in range(_READ_TRIES):
            version = self._header[_VERSION]
            sums = list(self._past)
            for slot in self.live():
                for cell in range(LABEL):
                    sums[cell] += slot.cells[cell]
            if not version & 1 and version == self._header[_VERSION]:
                break
        return sums

    def table(self, name: str, *, rows: int, cells: int, kind: str = "q") -> Table:
        """The shared table of that name, made when it is not there yet: all workers that ask get the same memory.

        rows: about how many keys it holds before the stalest make place. cells: numbers a row (1-64). kind: "q" for
        int64, "d" for float64. ConfigError: wrong numbers, or the arena is full. Call it when the app is set up and
        keep the result.
        """
        known = (name, rows, cells, kind)
        if known not in self._tables:
            self._tables[known] = Table(self._memory, self._locks, self._directory.entry(name, rows, cells, kind))
        return self._tables[known]

    def close(self) -> None:
        """Give the memory back. Nothing of the board may be used after that."""
        for table in self._tables.values():
            table.close()
        self._directory.close()
        for slot in self.slots:
            slot.cells.release()
        for view in (self._header, self._past, self._view):
            view.release()
        self._locks.close()
        self._memory.close()


def _is_gone(pid: int) -> bool:
    """Whether a slot's worker died and its master with it, so that nobody released the slot."""
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _renew_locks_in_children(locks: RangeLocks) -> None:
    reset = WeakMethod(locks._reset)

    def after_fork() -> None:
        renew = reset()
        if renew is not None:
            renew()

    os.register_at_fork(after_in_child=after_fork)
