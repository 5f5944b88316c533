"""The registry: complete, well-formed, and the documentation made from it is current."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsgikit.errors import ConfigError
from wsgikit.validators.rules import METHODS, PROFILES, RULES, catalogue, in_profile, rule, select

ROOT = Path(__file__).parents[3]

# Those whose only test in the reference is a human's; a program judges M28 all the same.
HUMAN = {"A23", "A32", "A45", "A54", "A56", "S35", "S82", "S83", "S84", "S85", "M21"}


def test_every_requirement_is_a_rule_in_order() -> None:
    wanted = [f"{letter}{number:02}" for letter, last in (("A", 58), ("S", 97), ("M", 28), ("H", 64))
              for number in range(1, last + 1)]  # fmt: skip

    assert [one.key for one in RULES.values()] == wanted


def test_ids_are_stable_and_public() -> None:
    assert rule("A33").id == "WSGI-A33"
    assert rule("S14").id == "WSGI-S14"
    assert rule("M06").id == "WSGI-M06"
    assert rule("H31").id == "HTTP-31"
    assert all(RULES[one.id] is one for one in RULES.values())


@pytest.mark.parametrize("name", ["A33", "a33", "WSGI-A33", " wsgi-a33 "])
def test_a_rule_is_found_by_any_of_its_names(name: str) -> None:
    assert rule(name) is RULES["WSGI-A33"]


def test_an_unknown_rule_is_an_error_that_names_near_ones() -> None:
    with pytest.raises(ConfigError, match=r"no rule named 'A99'; did you mean .*A\d9"):
        rule("A99")


@pytest.mark.parametrize("one", RULES.values(), ids=lambda one: one.id)
def test_every_rule_is_well_formed(one: object) -> None:
    from wsgikit.validators.rules import Rule

    assert isinstance(one, Rule)
    assert one.text.endswith(".")
    assert one.profile in PROFILES
    assert one.level in ("must", "should", "advice")
    assert set(one.how) <= set(METHODS)
    assert one.how
    assert all(title and url.startswith("https://") for title, url in one.sources)


def test_only_rules_no_program_can_judge_are_left_to_humans() -> None:
    assert {one.key for one in RULES.values() if one.human} == HUMAN


def test_a_position_is_taken_on_every_known_defect_of_the_pep() -> None:
    about = {
        "A52": "b''",  # the sentinel of the fallback
        "A57": "latin-1",  # quote() encodes twice
        "A16": "tab",
        "A07": "404 ",
        "S23": "OPTIONS",
        "A42": "chunked",
        "S13": "close() raises",
        "A24": "Empty blocks",
        "S62": "mod_wsgi",
    }
    for key, word in about.items():
        assert word in rule(key).position, key


def test_profiles_contain_each_other() -> None:
    sizes = [len(select(profile)) for profile in PROFILES]

    assert sizes == sorted(sizes)
    assert sizes[-1] == len(RULES)
    assert all(in_profile(one, "pedantic") for one in RULES.values())
    assert {one.level for one in select("pep")} == {"must"}


def test_an_unknown_profile_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no profile named 'strict'"):
        select("strict")


def test_select_takes_role_and_names() -> None:
    assert [one.key for one in select(names=["a33", "M06"])] == ["A33", "M06"]
    assert {one.role for one in select("pep", "server")} == {"server"}


def test_the_page_of_the_documentation_is_current() -> None:
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")

    assert page == catalogue.markdown(), "run: wsgikit rules --format markdown > docs/rules.md"


def test_the_catalogue_shows_rule_source_position_and_an_example() -> None:
    text = catalogue.full(rule("A07"))

    assert "WSGI-A07  app, must" in text
    assert "Position: The PEP asks for a reason" in text
    assert "https://peps.python.org/pep-3333/#the-start-response-callable" in text
    assert 'start_response("200", list(PLAIN))' in text


def test_a_rule_for_humans_says_so() -> None:
    assert "never reported as passed" in catalogue.full(rule("S35"))
    assert "(human)" in catalogue.listing([rule("S35")])
