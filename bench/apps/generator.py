"""64 KiB in sixteen blocks of a generator; Content-Length is set, so that no server has to chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

BLOCK = b"0123456789abcdef" * 256
BLOCKS = 16


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(BLOCK) * BLOCKS))])
    for _ in range(BLOCKS):
        yield BLOCK
