"""A page for what is not there, one for failures, and problem+json for programs.

wsgikit serve examples.stacks.error_pages:app
curl -si -H 'Accept: application/json' http://127.0.0.1:8000/fail
"""

from __future__ import annotations

from pathlib import Path

from examples.stacks.shop import shop
from wsgikit.middleware import ErrorPages, RequestId, Stack, Use

PAGES = Path(__file__).parent / "pages"

app = Stack(
    shop,
    [Use(RequestId), Use(ErrorPages, pages={"404": str(PAGES / "404.html"), "5xx": str(PAGES / "5xx.html")})],
)
