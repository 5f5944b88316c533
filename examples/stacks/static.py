"""Files of a folder beside the app; what the folder does not have goes to the app.

wsgikit serve examples.stacks.static:app
curl -si -H 'Range: bytes=0-9' http://127.0.0.1:8000/logo.svg
"""

from __future__ import annotations

from pathlib import Path

from examples.stacks.shop import shop
from wsgikit.middleware import Stack, Static, Use

PUBLIC = Path(__file__).parent / "public"

app = Stack(
    shop,
    [Use(Static, directory=str(PUBLIC))],
)
