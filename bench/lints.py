"""Counts what five lints find of the same violations, and what they say about legal behaviour.

    python bench/lints.py [--markdown] [--details]

The cases are the specimens that prove wsgikit's own lint (`wsgikit.validators.specimens`), so a case that it misses
would fail the tests; the point is the others, and the false alarms. "Found" is the lint's own assertion or warning, an
exception of another kind that does not come without the lint is a "crash" and no diagnosis, the rest is "silent".
Whether a warning names the right thing nobody can count; any assertion or warning is taken for a finding.

Needs werkzeug, and for the other two `pip install webtest paste`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from wsgikit.validators.app.driver import Conversation
from wsgikit.validators.lint import Lint, LintError
from wsgikit.validators.rules import rule
from wsgikit.validators.specimens import BROKEN, LEGAL, Specimen

FOUND, CRASH, SILENT = "found", "crash", "silent"
Wrap = Callable[[Any], Any]


class Contestant(NamedTuple):
    """A lint: how to put it around an app, and which exceptions are its own verdict."""

    name: str
    wrap: Wrap
    verdicts: tuple[type[BaseException], ...]


def contestants() -> Iterator[Contestant]:
    """All lints that are installed."""
    import wsgiref.validate

    yield Contestant("wsgikit", lambda app: Lint(app, "raise"), (LintError,))
    yield Contestant("wsgiref.validate", wsgiref.validate.validator, (AssertionError,))
    with contextlib.suppress(ImportError):
        import werkzeug.middleware.lint as werkzeug

        yield Contestant("werkzeug lint", werkzeug.LintMiddleware, ())
    with contextlib.suppress(ImportError):
        import webtest.lint

        yield Contestant("webtest.lint", webtest.lint.middleware, (AssertionError,))
    with contextlib.suppress(ImportError):
        import paste.lint

        yield Contestant("paste.lint", paste.lint.middleware, (AssertionError,))


def drive(one: Specimen, wrap: Wrap) -> list[BaseException]:
    """Run a specimen; what was raised on the way, and by whom, is for the caller to say."""
    lints: list[Any] = []

    def lint(app: Any) -> Any:
        lints.append(wrap(app))
        return lints[-1]

    raised: list[BaseException] = []
    try:
        if one.key.startswith("S"):
            one.subject(lint)
        else:
            subject = one.subject if one.key else one.subject()
            answer = Conversation(one.request, one.conduct).run(lint(subject))
            raised += [answer.raised] if answer.raised is not None else []
    except Exception as error:
        raised.append(error)
    for used in lints:
        if isinstance(used, Lint):
            try:
                used.finish()
            except LintError as error:
                raised.append(error)
            raised += [LintError(finding) for finding in used.findings]
    return raised


def outcome(one: Specimen, contestant: Contestant) -> str:
    """What a lint makes of a specimen. An exception that comes without any lint is the specimen's own."""
    own = {type(error) for error in drive(one, lambda app: app)}
    late: list[BaseException] = []
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stderr(io.StringIO()), _unraisable(late):
        warnings.simplefilter("always")
        raised = [error for error in drive(one, contestant.wrap) if type(error) not in own]
    if any(isinstance(error, contestant.verdicts) for error in (*raised, *late)):
        return FOUND
    if any(not issubclass(entry.category, ResourceWarning | DeprecationWarning) for entry in caught):
        return FOUND
    return CRASH if raised else SILENT


@contextlib.contextmanager
def _unraisable(late: list[BaseException]) -> Iterator[None]:
    """Some lints judge in `__del__`, where nothing can be raised; what they say there counts as well."""
    before = sys.unraisablehook
    sys.unraisablehook = lambda found: late.append(found.exc_value or RuntimeError(str(found)))
    try:
        yield
    finally:
        sys.unraisablehook = before


def count() -> dict[str, tuple[Counter[str], list[str], list[str]]]:
    """Outcomes over the violations, the violations not found, and the false alarms, by lint."""
    broken = [one for one in BROKEN if one.seen_by == "lint" and rule(one.key).profile != "pedantic"]
    legal = [one for one in LEGAL if one.seen_by == "lint"]
    results = {}
    for contestant in contestants():
        outcomes = {one.name: outcome(one, contestant) for one in broken}
        alarms = [one.name for one in legal if outcome(one, contestant) != SILENT]
        missed = [name for name, result in outcomes.items() if result != FOUND]
        results[contestant.name] = (Counter(outcomes.values()), missed, alarms)
    return results


def table(results: dict[str, tuple[Counter[str], list[str], list[str]]], markdown: bool) -> str:
    """One row a lint."""
    total = sum(next(iter(results.values()))[0].values())
    legal = sum(one.seen_by == "lint" for one in LEGAL)
    heads = ("lint", f"found of {total}", "crash", "silent", f"false alarms on {legal}")
    rows = [
        (name, str(counts[FOUND]), str(counts[CRASH]), str(counts[SILENT]), str(len(alarms)))
        for name, (counts, _, alarms) in results.items()
    ]
    if markdown:
        lines = ["| " + " | ".join(row) + " |" for row in (heads, ("---",) * 5, *rows)]
        return "\n".join(lines)
    return "\n".join("  ".join(f"{cell:<20}" for cell in row).rstrip() for row in (heads, *rows))


def main(arguments: list[str]) -> int:
    """Print the table. Returns 0 when wsgikit finds everything without a false alarm, else 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true", help="a table for a README")
    parser.add_argument("--details", action="store_true", help="name what each lint misses and what it wrongly reports")
    options = parser.parse_args(arguments)
    results = count()
    print(table(results, options.markdown))
    if options.details:
        for name, (_, missed, alarms) in results.items():
            print(
                f"\n{name}\n  not found: {', '.join(missed) or 'none'}\n  false alarms: {', '.join(alarms) or 'none'}"
            )
    _, missed, alarms = results["wsgikit"]
    return 1 if missed or alarms else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
