"""Paths made to keep a regex busy: several variables in one segment take linear time, and match as before."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgikit.middleware.router import Match, Route, Table
from wsgikit.middleware.router.convert import Converters
from wsgikit.middleware.router.pattern import Segment, parse

LONGEST = 8000  # a request line has 8190 bytes


def nothing(environ: Any, start_response: Any) -> Any:
    raise AssertionError


@pytest.mark.parametrize(
    ("rule", "unit"),
    [
        ("/<a>-<b>-<c>.html", "-"),
        ("/<a>-<b>-<c>-<d>-<e>.html", "-"),
        ("/<a>-<b>-<c>-<d>-<e>.html", "a-"),
        ("/<a>.<b>.<c>.<int:d>", "."),
        ("/<a>.<b>.<c>.<int:d>", "1."),
        ("/<a><b><c>.x", "a"),
        ("/<a>--<b>--<c>.x", "-"),
        ("/<a>-<b>.<c>~<d>.x", "-.~"),
        ("/<a>-<b>.<c>~<d>.x", "-a.a~a"),
        ("/<string(minlength=2):a>-<string(minlength=3):b>-<string(minlength=2):c>.x", "-"),
        ("/<string(minlength=2):a>-<string(minlength=3):b>-<string(minlength=2):c>.x", "aa-"),
        ("/<path:a>/x/<path:b>/x/<path:c>/x/<path:d>/y", "/x"),
        ("/<path:a>/<path:b>/<path:c>/<path:d>.html", "/a"),
        ("/<path:a>-<path:b>-<path:c>.html", "-"),
        ("/<a>-<path:b>-<path:c>-<path:d>.html", "a-"),
    ],
)
def test_a_path_that_does_not_match_is_refused_at_once(rule: str, unit: str) -> None:
    table = Table([Route(rule, nothing)])
    began = time.process_time()
    assert table.resolve("GET", "/" + unit * (LONGEST // len(unit))) is None
    assert time.process_time() - began < 0.5  # the first took twenty minutes


def plain(segment: Segment) -> re.Pattern[str]:
    """What the rule means, as Werkzeug would compile it."""
    pieces = [re.escape(piece) if isinstance(piece, str) else f"({piece.regex})" for piece in segment.pieces]
    return re.compile("".join(pieces))


VARIABLES = ["<{}>", "<string(minlength=2):{}>", "<string(maxlength=3):{}>", "<int:{}>", "<path:{}>", "<any(a,ab):{}>"]
RULES = st.lists(
    st.tuples(st.sampled_from(VARIABLES), st.sampled_from(["", "-", "--", "-.-", "a", "/", "/-/", "."])),
    min_size=1,
    max_size=4,
)


@given(RULES, st.sampled_from(["", "a", "-"]), st.text("a-./1", max_size=14))
def test_the_parts_are_those_of_the_plain_regex(rule: list[tuple[str, str]], before: str, path: str) -> None:
    text = "/" + before + "".join(variable.format(f"v{at}") + text for at, (variable, text) in enumerate(rule))
    segment = parse(text, Converters()).segments[-1]
    if not segment.variables:
        return
    expected, found = (re.compile(pattern).fullmatch(path) for pattern in (plain(segment), segment.regex(groups=True)))
    assert (found is not None) == (re.fullmatch(segment.regex(groups=False), path) is not None)
    assert (found and found.groups()) == (expected and expected.groups())


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/a-b-c.html", ("a", "b", "c")),
        ("/a-b-c-d.html", ("a-b", "c", "d")),
        ("/a---.html", None),
        ("/a----.html", ("a", "-", "-")),
        ("/2024-01-.html.html", ("2024", "01", ".html")),
    ],
)
def test_the_first_variable_takes_what_it_can(path: str, values: tuple[str, ...] | None) -> None:
    found = Table([Route("/<a>-<b>-<c>.html", nothing)]).resolve("GET", path)
    assert (tuple(found.values.values()) if isinstance(found, Match) else None) == values
