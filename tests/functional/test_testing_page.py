"""docs/testing.md: its tests, put together as the page has them, pass; its names are those of the package."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from wsgikit.testing import ProcessLimits, RawClient

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")
SHOP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"tea"]
"""


def test_its_tests_pass(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "test_page.py").write_text("\n".join(blocks))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    tests = "".join(blocks).count("def test_")
    assert f"{tests} passed" in done.stdout, done.stdout + done.stderr


def test_its_names_are_there() -> None:
    for name in re.findall(r"`(send_split|dribble|half_close|reset|closed_by_peer|\w+_response)\b", PAGE):
        assert hasattr(RawClient, name)
    limits = ProcessLimits()
    assert f"ProcessLimits(ready={limits.ready}, stop={limits.stop}, output={limits.output})" in PAGE
