"""Programs of a folder (CGI) beside the app: /cgi-bin/hello.sh is a shell script.

wsgikit serve examples.stacks.cgi_directory:app
curl -s http://127.0.0.1:8000/cgi-bin/hello.sh?Ann
"""

from __future__ import annotations

from pathlib import Path

from examples.stacks.shop import shop
from wsgikit.middleware import CGIDirectory, Stack, Use

PROGRAMS = Path(__file__).parent / "programs"

app = Stack(
    shop,
    [Use(CGIDirectory, directory=str(PROGRAMS), at="/cgi-bin")],
)
