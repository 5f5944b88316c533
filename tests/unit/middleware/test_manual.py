"""The page of all middleware: complete, in order, and what the docstrings say."""

from __future__ import annotations

import itertools
from pathlib import Path

from wsgikit.middleware import NAMES
from wsgikit.middleware.manual import middleware_page

PAGE = Path(__file__).parents[3] / "docs" / "middleware.md"


def test_every_middleware_has_a_line_and_a_section() -> None:
    page = middleware_page()
    for name in NAMES:
        assert f"| [{name}](#{name}) | " in page
        assert f"\n## {name}\n" in page


def test_indented_blocks_stand_alone_so_that_markdown_shows_them_as_code() -> None:
    lines = middleware_page().splitlines()
    for before, line in itertools.pairwise(lines):
        if before and line:
            assert before.startswith("    ") == line.startswith("    "), f"{before!r} then {line!r}"


def test_the_page_in_the_tree_is_current() -> None:
    assert PAGE.read_text("utf-8") == middleware_page(), "run `make docs`"
