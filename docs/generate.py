"""Write the generated pages of this folder: `make docs`. With --check, say which are not current, and leave with 1."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from wsgikit.config.reference import options_page
from wsgikit.middleware.manual import middleware_page
from wsgikit.validators.rules.catalogue import markdown as rules_page

HERE = Path(__file__).parent

FAKES = HERE.parent / "tests" / "fakes"
_MUTANTS = """\
# What proves `check server`

Each line is a small server with one thing wrong, and the rule that it breaks; the tests start all of them and hold
`check server` to finding each. The same server without the fault trips nothing. Broken apps and middleware, and what
Lint finds of servers, stand at the end of [rules.md](rules.md).

## PEP 3333

No rule trips but its own and those named as implied (`make soak ARGS="-m exhaustive"` crosses them all).

| Rule | The server | Implied, and why |
|---|---|---|
"""
_HTTP_MUTANTS = """
## HTTP

*Case* is the experiment that notices, *verdict* what comes of it: a FAIL for a rule that is a must, a WARN for
a should, an INFO for advice.

| Rule | Case | The server | Verdict |
|---|---|---|---|
"""


def mutants_page() -> str:
    """Rules and the servers that break them, from the tests' own tables."""
    sys.path.insert(0, str(FAKES))
    try:
        from http_mutants import load_http
        from server_mutants import load

        servers, wires = load(), load_http()
    finally:
        sys.path.remove(str(FAKES))
    lines = [_MUTANTS]
    for one in servers:
        implied = "; ".join(f"{key}: {why}" for key, why in one.implied.items())
        lines.append(f"| WSGI-{one.rule} | {one.words} | {implied} |\n")
    lines.append(_HTTP_MUTANTS)
    lines += [f"| HTTP-{one.rule[1:]} | {one.case} | {one.words} | {one.verdict} |\n" for one in wires]
    return "".join(lines)


PAGES: dict[str, Callable[[], str]] = {
    "middleware.md": middleware_page,
    "mutants.md": mutants_page,
    "options.md": options_page,
    "rules.md": rules_page,
}


def main(arguments: list[str]) -> int:
    stale = [name for name, page in PAGES.items() if not is_current(name, page())]
    if "--check" in arguments:
        for name in stale:
            print(f"docs/{name} is not current: run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (HERE / name).write_text(PAGES[name](), "utf-8")
        print(f"docs/{name}")
    return 0


def is_current(name: str, text: str) -> bool:
    path = HERE / name
    return path.is_file() and path.read_text("utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
