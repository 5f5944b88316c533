"""The generated pages are current, and complete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from wsgikit.config.reference import options_page
from wsgikit.config.table import OPTIONS

ROOT = Path(__file__).parents[3]


def test_the_generated_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_option_is_on_the_page() -> None:
    page = options_page()
    assert [option.name for option in OPTIONS if f"\n| `{option.name}`" not in page] == []
