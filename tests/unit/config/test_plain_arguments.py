"""The short way through a command line says what argparse says, or leaves it to argparse."""

from __future__ import annotations

import argparse
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgikit.config.sources import add_options, plain_arguments
from wsgikit.config.table import OPTIONS

FLAGS = sorted(flag for option in OPTIONS if option.name != "app" for flag in option.spellings)
WORDS = st.sampled_from([*FLAGS, *(f"{flag}=v" for flag in FLAGS), "shop:app", "x=y", "", "4", "-4", "--", "-", "-b:1"])


def by_argparse(arguments: list[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    parser.add_argument("app", nargs="?")
    add_options(parser, OPTIONS)
    return {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}


@given(st.lists(WORDS, max_size=6))
def test_it_is_right_where_it_is_sure(arguments: list[str]) -> None:
    plain = plain_arguments(arguments, OPTIONS)
    if plain is not None:
        assert plain == by_argparse(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        "shop:app",
        "-b :1 -b :2 shop:app",
        "--threads=4 -w 2 shop:app",
        "--preload shop:app",
        "shop:app -e A=b --group g",
        "",
    ],
)
def test_what_people_type_goes_the_short_way(arguments: str) -> None:
    assert plain_arguments(arguments.split(), OPTIONS) == by_argparse(arguments.split())


@pytest.mark.parametrize(
    "arguments",
    ["--help", "-h", "--no-preload", "--mount /a=b:c", "--config x", "-w", "-w --threads", "-w2", "a b", "--nope"],
)
def test_the_rest_is_left_to_argparse(arguments: str) -> None:
    assert plain_arguments(arguments.split(), OPTIONS) is None
