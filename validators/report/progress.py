"""One line on a terminal that says what is under way, and is gone afterwards. Nothing where there is no terminal."""

from __future__ import annotations

import time
from typing import TextIO

_WIDTH = 76
# Faster than this nobody can read.
_INTERVAL = 0.05


class Progress:
    """Call it with a text; leave the with block to clear the line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._last = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._live:
            self._out.write("\r\x1b[K")
            self._out.flush()

    def __call__(self, text: str) -> None:
        now = time.monotonic()
        if self._live and now - self._last >= _INTERVAL:
            self._last = now
            line = text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."
            self._out.write(f"\r\x1b[K{line}")
            self._out.flush()
