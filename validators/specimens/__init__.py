"""Small apps, servers and middleware that each break one rule, and legal ones that break none.

They prove the validator: every rule a program can judge has at least one, and the tests hold every front end to it.
`wsgikit rules WSGI-A33` shows one as an example.
"""

from __future__ import annotations

from wsgikit.validators.specimens import (
    app_bodies,
    app_habits,
    app_heads,
    legal_heads,
    legal_middlewares,
    legal_streams,
    middleware_blocks,
    middleware_heads,
    server_streams,
    servers,
)
from wsgikit.validators.specimens.model import BROKEN, LEGAL, Specimen

__all__ = [
    "BROKEN",
    "LEGAL",
    "Specimen",
    "app_bodies",
    "app_habits",
    "app_heads",
    "legal_heads",
    "legal_middlewares",
    "legal_streams",
    "middleware_blocks",
    "middleware_heads",
    "server_streams",
    "servers",
]
