"""One call in ten sleeps 50 ms, the others answer at once: do the fast ones wait for the slow ones?"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from typing import Any

BODY = b"mixed\n"
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]
CALLS = itertools.count()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if next(CALLS) % 10 == 9:
        time.sleep(0.050)
    start_response("200 OK", list(HEADERS))
    return [BODY]
