"""Which rule wins, and what a rule takes from the path."""

from __future__ import annotations

import subprocess
import sys
import uuid

import pytest
from werkzeug.routing import BaseConverter, ValidationError

from wsgikit.errors import ConfigError
from wsgikit.middleware.router import Match, Route, Table


class OneOrTwo(BaseConverter):
    regex = "[12]"


def app(environ, start_response):
    start_response("200 OK", [])
    return []


def winner(rules, path, **converters):
    decision = Table([Route(rule, app) for rule in rules], converters={"one": OneOrTwo, **converters}).resolve(
        "GET", path
    )
    return (decision.template, decision.variables) if isinstance(decision, Match) else None


@pytest.mark.parametrize(
    ("better", "worse", "path"),
    [
        ("/a", "/a<x>", "/a"),
        ("/ab", "/a<x>", "/ab"),
        ("/ab<x>", "/a<x>", "/abc"),
        ("/<x>bc", "/<x>c", "/abc"),
        ("/v<int:x>", "/<int:x>", "/v7"),
        ("/a-<x>", "/<any('a-b'):x>", "/a-b"),
        ("/<int:x>", "/<x>", "/7"),
        ("/<string(length=2):x>", "/<x>", "/en"),
        ("/<x>", "/<path:x>", "/a"),
        ("/<path:x>/edit", "/<path:x>", "/a/b/edit"),
        ("/<path:x>.txt", "/<path:x>", "/a/b.txt"),
        ("/a/<x>", "/<x>/b", "/a/b"),
        ("/<int:x>/<y>", "/<x>/b", "/1/b"),
        ("/<one:x>/b", "/<int:x>/<y>", "/1/b"),
    ],
)
def test_precedence_does_not_depend_on_the_order_of_registration(better, worse, path):
    assert winner([better, worse], path)[0] == better
    assert winner([worse, better], path)[0] == better


@pytest.mark.parametrize(
    ("first", "second", "path"),
    [
        ("/<int:a>", "/<one:b>", "/1"),
        ("/<a>", "/<b>", "/x"),
        ("/<path:a>", "/<path:b>", "/x/y"),
        ("/a<x>", "/<x>b", "/acb"),
    ],
)
def test_ties_go_to_the_rule_registered_first(first, second, path):
    assert winner([first, second], path)[0] == first
    assert winner([second, first], path)[0] == second


def test_a_rule_that_leads_nowhere_gives_way_at_every_level():
    rules = ["/a/<int:i>/x", "/a/<name>/y", "/<p>/<int:i>/z", "/<path:rest>"]
    assert winner(rules, "/a/7/x") == ("/a/<int:i>/x", {"i": 7})
    assert winner(rules, "/a/7/y") == ("/a/<name>/y", {"name": "7"})
    assert winner(rules, "/a/7/z") == ("/<p>/<int:i>/z", {"p": "a", "i": 7})
    assert winner(rules, "/a/7/w") == ("/<path:rest>", {"rest": "a/7/w"})


def test_the_state_of_a_third_rule_does_not_reorder_two_others():
    # In a tree whose transitions stand in the order of their creation, "/<one:c>/y" flips this decision.
    pair = ["/<int:a>/x", "/<one:b>/x"]
    assert winner(pair, "/1/x")[0] == pair[0]
    assert winner(["/<one:c>/y", *pair], "/1/x")[0] == pair[0]


class Even(BaseConverter):
    regex = r"\d+"

    def to_python(self, value):
        if int(value) % 2:
            raise ValidationError
        return int(value) // 2

    def to_url(self, value):
        return str(value * 2)


class TwoLevels(BaseConverter):
    regex = "[a-z]+/[a-z]+"  # a slash makes Werkzeug set part_isolating to False


class Named(BaseConverter):
    regex = "(?P<own>[a-z])(x)?"


class Broken(BaseConverter):
    def to_python(self, value):
        return 1 // 0


def test_a_converter_that_refuses_passes_the_request_on():
    rules = ["/<even:half>", "/<int(max=3):small>", "/<int:n>", "/<word>"]
    assert winner(rules, "/8", even=Even) == ("/<even:half>", {"half": 4})
    assert winner(rules, "/3", even=Even) == ("/<int(max=3):small>", {"small": 3})
    assert winner(rules, "/5", even=Even) == ("/<int:n>", {"n": 5})
    assert winner(rules, "/x", even=Even) == ("/<word>", {"word": "x"})
    assert winner(["/<even:half>"], "/7", even=Even) is None


def test_an_error_in_a_converter_is_no_refusal():
    with pytest.raises(ZeroDivisionError):
        winner(["/<broken:x>", "/<y>"], "/a", broken=Broken)


def test_a_converter_with_a_slash_in_its_regex_is_a_catch_all():
    rules = ["/<two:x>", "/<a>/<b>"]
    assert winner(rules, "/a/b", two=TwoLevels) == ("/<a>/<b>", {"a": "a", "b": "b"})
    assert winner(["/<two:x>/c"], "/a/b/c", two=TwoLevels) == ("/<two:x>/c", {"x": "a/b"})
    assert winner(["/<two:x>"], "/a", two=TwoLevels) is None


def test_groups_in_a_converters_regex_stay_its_own():
    assert winner(["/<named:a>.<b>"], "/ax.b", named=Named) == ("/<named:a>.<b>", {"a": "ax", "b": "b"})


@pytest.mark.parametrize(
    ("rule", "path", "values"),
    [
        ("/<string(minlength=2, maxlength=3):s>", "/abc", {"s": "abc"}),
        ("/<string(minlength=2, maxlength=3):s>", "/abcd", None),
        ("/<any(about, 'a b', \"c,d\"):page>", "/c,d", {"page": "c,d"}),
        ("/<any(about, 'a b', \"c,d\"):page>", "/a b", {"page": "a b"}),
        ("/<int(fixed_digits=3):n>", "/007", {"n": 7}),
        ("/<int(fixed_digits=3):n>", "/07", None),
        ("/<int(signed=True):n>", "/-7", {"n": -7}),
        ("/<int:n>", "/-7", None),
        ("/<int:n>", "/" + "9" * 5000, None),
        ("/<float(min=1.5):f>", "/1.5", {"f": 1.5}),
        ("/<float(min=1.5):f>", "/1.4", None),
        (
            "/<uuid:u>",
            "/a8098c1a-f86e-11da-bd1a-00112444be1e",
            {"u": uuid.UUID("a8098c1a-f86e-11da-bd1a-00112444be1e")},
        ),
        ("/<path:p>", "//a", None),
        ("/<path:p>", "/a\nb", {"p": "a\nb"}),
        ("/<path:p>/end", "/a/b/end", {"p": "a/b"}),
        ("/<lang>-<region>.<int:n>", "/en-gb.7", {"lang": "en", "region": "gb", "n": 7}),
        ("/<a>", "/", None),
        ("/<a>/", "/x", None),
        ("/x", "/x/", None),
        ("/x//y", "/x//y", {}),
        ("/x/y", "/x//y", None),
        ("/caf\u00e9/<n>", "/caf\u00e9/\u6771\u4eac", {"n": "\u6771\u4eac"}),
    ],
)
def test_werkzeugs_syntax_and_converters(rule, path, values):
    found = winner([rule], path)
    assert (found and found[1]) == values


@pytest.mark.parametrize(
    ("rule", "part"),
    [
        ("x", "slash"),
        ("/<x", "malformed at '<x'"),
        ("/<1x>", "malformed"),
        ("/<x>/<x>", "'x' is used twice"),
        ("/<in:x>", "no converter 'in'; did you mean 'int'?"),
        ("/<int(digits=3):x>", "digits"),
        ("/<bad:x>-y", "regex"),
    ],
)
def test_a_wrong_rule_is_named_in_the_error(rule, part):
    class Bad(BaseConverter):
        regex = "("

    with pytest.raises(ConfigError) as caught:
        Table([Route(rule, app)], converters={"bad": Bad})
    assert part in str(caught.value)
    assert repr(rule) in str(caught.value)


def test_defaults_join_the_variables():
    table = Table([Route("/all", app, defaults={"page": 1}), Route("/all/<int:page>", app)])
    assert table.resolve("GET", "/all").variables == {"page": 1}
    assert table.resolve("GET", "/all/2").variables == {"page": 2}


def test_each_match_has_values_of_its_own():
    table = Table([Route("/x", app, defaults={"page": 1})])
    table.resolve("GET", "/x").variables["page"] = 2
    assert table.resolve("GET", "/x").variables == {"page": 1}


def test_werkzeug_is_imported_by_the_first_rule_with_a_variable():
    code = (
        "import sys; from wsgikit.middleware.router import Route, Router\n"
        "Router([Route('/a', print)]); assert 'werkzeug' not in sys.modules\n"
        "Router([Route('/<a>', print)]); assert 'werkzeug' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
