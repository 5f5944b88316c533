"""What was verified by hand about servers: loads `evidence/<server>.toml` and compares it with reports.

    [[fail]]
    rule = "HTTP-49"
    cases = ["plain", "list"]       # those of the rule's cases that were looked at; the report names them
    version = "1.2.3"               # of the server
    kind = "source"                 # or "trace", or "both"
    verdict = "confirmed"           # or "deliberate"
    documented = "..."              # where the server's authors say so; only with "deliberate", and needed there
    evidence = "One or two sentences: file and function, or the bytes that went out and came back."

A rule may have several entries, a case of it one. Knows nothing of how reports or pages are written.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.validators.rules import rule

_CHOICES = {"kind": ("source", "trace", "both"), "verdict": ("confirmed", "deliberate")}
_NEEDED = ("rule", "cases", "version", "kind", "verdict", "evidence")
_KEYS = (*_NEEDED, "documented")


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """One entry: the cases of a rule that were seen to fail for one reason."""

    rule: str
    cases: tuple[str, ...]
    version: str
    kind: str
    verdict: str
    evidence: str
    documented: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """A report beside its evidence.

    `confirmed` are the entries that still stand, in the report's order. `unverified` has the failing rules without an
    entry, with their cases; `unseen` failing cases of rules that have one. `stale` are entries none of whose cases
    fails now, with what the report says of the rule.
    """

    confirmed: tuple[Evidence, ...] = ()
    unverified: Mapping[str, tuple[str, ...]]
    unseen: Mapping[str, tuple[str, ...]]
    stale: Mapping[Evidence, str]


def file_name(server: str) -> str:
    """The name, without its ending, of the files about a server."""
    return server.replace(" ", "-")


def load(folder: Path, server: str) -> tuple[Evidence, ...]:
    """The evidence about a server, () where there is no file.

    Raises ConfigError naming file, entry and key for anything that is not as in the docstring above.
    """
    path = folder / f"{file_name(server)}.toml"
    if not path.is_file():
        return ()
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    entries = document.pop("fail", [])
    if document or not isinstance(entries, list):
        raise ConfigError(f"{path}: only [[fail]] tables are read; found {', '.join(document) or '[fail]'}")
    found = tuple(_entry(f"{path}: fail #{number}", entry) for number, entry in enumerate(entries, 1))
    _once(path, found)
    return found


def strangers(folder: Path, servers: Sequence[str]) -> list[str]:
    """Evidence files that belong to no server of that name."""
    names = {file_name(server) for server in servers}
    return sorted(path.name for path in folder.glob("*.toml") if path.stem not in names)


def compare(report: Mapping[str, Any], evidence: Sequence[Evidence]) -> Compared:
    """Which failures of a report (a JSON document of `check server`) the evidence covers, and which it does not."""
    failing = {result["rule"]: _failing(result) for result in report["results"] if result["verdict"] == "FAIL"}
    verdicts = {result["rule"]: result["verdict"] for result in report["results"]}
    standing = [one for one in evidence if set(one.cases) & set(failing.get(one.rule, ()))]
    order = list(verdicts)
    covered: dict[str, set[str]] = {}
    for one in standing:
        covered.setdefault(one.rule, set()).update(one.cases)
    unseen = {key: tuple(case for case in cases if case not in covered.get(key, ())) for key, cases in failing.items()}
    return Compared(
        confirmed=tuple(sorted(standing, key=lambda one: order.index(one.rule))),
        unverified={key: cases for key, cases in failing.items() if key not in covered},
        unseen={key: cases for key, cases in unseen.items() if cases and key in covered},
        stale={one: verdicts.get(one.rule, "not judged") for one in evidence if one not in standing},
    )


def _failing(result: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(finding.get("case", "") for finding in result["findings"] if finding["verdict"] == "FAIL")


def _entry(place: str, entry: object) -> Evidence:
    if not isinstance(entry, dict):
        raise ConfigError(f"{place} is not a table")
    for key, value in entry.items():
        if key not in _KEYS:
            raise ConfigError(f"{place}: unknown key {key!r}{_near(key, _KEYS)}")
        _value(f"{place}: {key}", key, value)
    for key in _NEEDED:
        if key not in entry:
            raise ConfigError(f"{place}: {key} is missing")
    if (entry["verdict"] == "deliberate") != ("documented" in entry):
        raise ConfigError(f'{place}: `documented` goes with verdict "deliberate", and says where its authors say so')
    try:
        key = rule(entry["rule"]).id
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error
    return Evidence(**(entry | {"rule": key, "cases": tuple(entry["cases"])}))


def _value(place: str, key: str, value: object) -> None:
    if key == "cases":
        if not isinstance(value, list) or not value or not all(isinstance(case, str) and case for case in value):
            raise ConfigError(f'{place} has to be a list of names of cases, ["plain"]')
        return
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{place} has to be a string that says something")
    allowed = _CHOICES.get(key, (value,))
    if value not in allowed:
        raise ConfigError(f"{place} is {value!r}; it can be {' or '.join(allowed)}{_near(value, allowed)}")


def _once(path: Path, entries: Sequence[Evidence]) -> None:
    seen: dict[tuple[str, str], int] = {}
    for number, one in enumerate(entries, 1):
        for case in one.cases:
            earlier = seen.setdefault((one.rule, case), number)
            if earlier != number:
                raise ConfigError(f"{path}: fail #{number}: {one.rule} {case} stands in fail #{earlier} already")


def _near(word: str, words: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
