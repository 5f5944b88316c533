"""The tree against a brute-force reading of the rules of precedence, and what follows from them."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from hypothesis import assume, given
from hypothesis import strategies as st
from werkzeug.routing import BaseConverter, ValidationError

from wsgikit.middleware.router import BuildError, Match, Route, Router, Table


class Even(BaseConverter):
    regex = "[0-9]+"

    def to_python(self, value):
        if int(value) % 2:
            raise ValidationError
        return int(value)


CONVERTERS = {"even": Even}

# text of a segment (# stands for the variable's name), its regex, its precedence, whether a text is refused
SEGMENTS = [
    ("a", "a", (0, 0), None),
    ("b", "b", (0, 0), None),
    ("12", "12", (0, 0), None),
    ("", "", (0, 0), None),
    ("a<#>", "a([^/]+)", (1, -1), None),
    ("<#>b", "([^/]+)b", (1, -1), None),
    ("a-<int:#>", "a-([0-9]+)", (1, -2), None),
    ("<int:#>", "([0-9]+)", (2, 0), None),
    ("<any(a, ab):#>", "(a|ab)", (2, 0), None),
    ("<even:#>", "([0-9]+)", (2, 0), lambda text: int(text) % 2),
    ("<#>", "([^/]+)", (3, 0), None),
    ("<string:#>", "([^/]+)", (3, 0), None),
]
TAILS = [
    ("<path:#>", "([^/].*?)", (4, 0), None),
    ("<path:#>/a", "([^/].*?)/a", (4, -2), None),
    ("<path:#>b", "([^/].*?)b", (4, -1), None),
]
TEXTS = ["a", "b", "ab", "aab", "12", "7", "a-7", "a-b", "", "x"]
METHODS = [None, ["GET"], ["POST"], ["GET", "POST"]]


@st.composite
def rules(draw):
    parts = draw(st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=3))
    tail = draw(st.one_of(st.none(), st.sampled_from(TAILS)))
    return tuple(parts + ([tail] if tail else [])), draw(st.sampled_from(range(len(METHODS))))


tables = st.lists(rules(), max_size=8)
paths = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
methods = st.sampled_from(["GET", "HEAD", "POST", "PUT"])


def app(environ, start_response):
    return []


def route(rule):
    parts, methods = rule
    text = "/" + "/".join(part[0].replace("#", f"v{number}") for number, part in enumerate(parts))
    return Route(text, app, methods=METHODS[methods], name="r")


def fits(rule, path):
    """Whether a rule matches the path, by one regex over all of it."""
    parts, _ = rule
    match = re.fullmatch("/" + "/".join(part[1] for part in parts), path, re.DOTALL)
    if match is None:
        return False
    groups = iter(match.groups())
    for part in parts:
        text = next(groups) if "#" in part[0] else ""
        if part[3] and part[3](text):
            return False
    return True


def allowed(rule):
    listed = METHODS[rule[1]]
    return None if listed is None else {*listed, "HEAD"} if "GET" in listed else set(listed)


def takes(rule, path, method):
    return fits(rule, path) and (allowed(rule) is None or method in allowed(rule))


def expected(table, path, method):
    """The number of the rule that wins: least precedence of its segments, then least number."""
    order = [([part[2] for part in rule[0]], number) for number, rule in enumerate(table) if takes(rule, path, method)]
    return min(order)[1] if order else None


def decided(table, path, method):
    routes = [route(rule) for rule in table]
    decision = Table(routes, converters=CONVERTERS).resolve(method, path)
    return decision, next(
        (n for n, r in enumerate(routes) if isinstance(decision, Match) and decision.route is r), None
    )


@given(tables, paths, methods)
def test_the_tree_decides_as_a_brute_force_reading_of_the_rules(table, path, method):
    decision, number = decided(table, path, method)
    assert number == expected(table, path, method)
    if number is None and decision is not None:
        union = set().union(*(allowed(rule) or () for rule in table if fits(rule, path)))
        assert decision.allow == tuple(sorted(union | {"OPTIONS"}))
    elif decision is None:
        assert not any(fits(rule, path) for rule in table)


@given(tables, rules(), st.integers(0, 8), paths, methods)
def test_an_unrelated_rule_never_changes_a_decision(table, rule, place, path, method):
    assume(not fits(rule, path))
    place = min(place, len(table))
    _, before = decided(table, path, method)
    _, after = decided([*table[:place], rule, *table[place:]], path, method)
    assert after == (before if before is None or before < place else before + 1)


@given(tables, rules(), paths, methods)
def test_a_rule_added_last_wins_itself_or_changes_nothing(table, rule, path, method):
    _, before = decided(table, path, method)
    _, after = decided([*table, rule], path, method)
    assert after in (before, len(table))


values = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=6),
    st.sampled_from(["a", "a/b", "..", ".", "%2F", "a%41", "//x", "12", "\\x", "a?b#c;d", "\u6771", " ", "a\nb"]),
    st.integers(-5, 200),
    st.floats(allow_nan=False, allow_infinity=True),
    st.uuids(),
)
BUILT = [
    "/<v>",
    "/x-<v>",
    "/<v>-<w>",
    "/<int:v>",
    "/<float:v>",
    "/<uuid:v>",
    "/<path:v>",
    "/<path:v>/z",
    "/<any(a,'a/b','%41'):v>",
]
OTHERS = ["/a", "/12", "/<int:n>/<m>", "/<string(length=2):n>", "/<path:n>/z"]


@given(st.sampled_from(BUILT), st.lists(st.sampled_from(OTHERS), unique=True), values, values)
def test_what_is_built_routes_back_to_the_same_route_and_values(rule, others, v, w):
    seen = []

    def target(environ, start_response):
        seen.append((environ["wsgiorg.routing_args"][1], environ["wsgikit.route"]))
        start_response("200 OK", [])
        return []

    router = Router([*(Route(other, target) for other in others), Route(rule, target, name="it")])
    given = {"v": v, "w": w} if "<w>" in rule else {"v": v}
    try:
        url = router.url_for("it", given)
    except BuildError:
        return
    call(router, url)
    assert seen[0][1] == rule
    for name, came_back in seen[0][0].items():
        # A converter may take more than it gives: <int:v> takes 2.5 for 2, <v> takes 7 for "7".
        assert came_back == given[name] or type(came_back) is not type(given[name])
    assert router.url_for("it", seen[0][0]) == url


def call(router, url):
    """Ask as a server would that publishes the raw target."""
    info = unquote_to_bytes(url.removeprefix("/.") if url.startswith("/.//") else url).decode("latin-1")
    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": info, "REQUEST_URI": url}
    return b"".join(router(environ, lambda status, headers, exc_info=None: None))


@given(tables, paths, methods)
def test_a_nested_router_decides_as_its_rules_would_inline(table, path, method):
    inner = Router([route(rule) for rule in table], converters=CONVERTERS)
    nested = Table([Route("/in", inner, prefix=True)]).resolve(method, "/in" + path)
    inline = [Route("/in" + r.rule, app, methods=r.methods, name="r") for r in inner.table.routes]
    flat = Table(inline, converters=CONVERTERS).resolve(method, "/in" + path)
    if isinstance(flat, Match):
        assert (nested.template, nested.variables) == (flat.template, flat.variables)
    else:
        assert nested == flat


@given(tables, tables, st.booleans(), paths, st.sampled_from(["", "/m", "/m/é".encode().decode("latin-1")]))
def test_script_name_and_path_info_stay_one_path(table, below, prefix, path, script):
    seen = []

    def target(environ, start_response):
        seen.append(environ)
        return []

    def routes(rules):
        return [Route(route(rule).rule, target, name="r") for rule in rules]

    inner = Router(routes(below), converters=CONVERTERS)
    outer = Router([*routes(table), Route("/a" if prefix else "/", inner, prefix=True)], converters=CONVERTERS)
    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": script, "PATH_INFO": path}
    outer(environ, lambda status, headers, exc_info=None: None)
    for environ in seen:
        assert environ["SCRIPT_NAME"] + environ["PATH_INFO"] == script + path
        assert environ["SCRIPT_NAME"].startswith(script)
        assert not environ["SCRIPT_NAME"].endswith("/")
        assert environ["PATH_INFO"][:1] in ("", "/")
