"""Until something has come about: for what no event tells of, such as what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_for(
    condition: Callable[[], object], seconds: float = 20.0, *, say: Callable[[], object] | None = None
) -> None:
    """Asks `condition` every 10 ms. Fails, with what `say` gives, after `seconds`: many, as a test must never hang."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not come about within {seconds:g} s: {say() if say else condition}"
        time.sleep(0.01)
