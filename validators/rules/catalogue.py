"""The registry as text: a list, one rule in full, the page of the documentation. Generated, so that nothing drifts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from wsgikit.validators.rules import METHODS, PROFILE_TEXT, RULES, Rule

_WIDTH = 100
_TITLES = {
    "app": "Applications",
    "server": "Servers",
    "middleware": "Middleware",
    "http": "HTTP on the wire",
}
_INTRODUCTION = """\
# The rules

Every requirement that the validator knows, by its stable id: what PEP 3333 asks of applications (A), servers (S) and
middleware (M), and what RFC 9110 and RFC 9112 ask of a server on the wire (HTTP). The texts are ours; the source is
named with each. `wsgikit rules` prints this list, `wsgikit rules WSGI-A33` one rule with an example that breaks it;
[validator.md](validator.md) tells how to test against them.

*Word* is the word of the source, "derived" where the requirement follows without being said. Breaking a *must* is a
FAIL, a *should* a WARN, *advice* an INFO. A *profile* contains the ones before it:

"""
_ENDING = """\
A rule marked *human* can only be judged by reading documentation or code. It is listed as skipped, never as passed.
"""


def seen_by(rule: Rule) -> tuple[str, ...]:
    """The front ends that judge the rule."""
    if rule.human:
        return ()
    if rule.role == "http":
        return ("check server",)
    if rule.role == "middleware":
        return ("check middleware",)
    lint = ("Lint",) if {"call", "request"} & set(rule.how) else ()
    return (*lint, "check app" if rule.role == "app" else "check server")


def listing(rules: Iterable[Rule]) -> str:
    """One line a rule: id, level, profile, the beginning of the text."""
    lines = []
    for rule in rules:
        mark = " (human)" if rule.human else ""
        text = textwrap.shorten(rule.text, _WIDTH - 33, placeholder="...")
        lines.append(f"{rule.id:<9} {rule.level:<6} {rule.profile:<12} {text}{mark}")
    return "\n".join(lines) + "\n"


def full(rule: Rule) -> str:
    """Everything about one rule, with an example that breaks it where there is one."""
    parts = [f"{rule.id}  {rule.role}, {rule.level} ({rule.word}), profile {rule.profile}", ""]
    parts += textwrap.wrap(rule.text, _WIDTH)
    if rule.position:
        parts += ["", *textwrap.wrap(f"Position: {rule.position}", _WIDTH)]
    parts += ["", *(f"  {title}: {url}" if url else f"  {title}" for title, url in rule.sources)]
    parts += [f"  tested by {METHODS[how]}" for how in rule.how]
    parts += [f"  seen by {', '.join(seen_by(rule))}" if seen_by(rule) else "  never reported as passed"]
    example = _example(rule)
    if example:
        parts += ["", "This breaks it:", "", textwrap.indent(example, "    ")]
    return "\n".join(parts) + "\n"


def _example(rule: Rule) -> str:
    from wsgikit.validators.specimens import BROKEN

    return next((one.source for one in BROKEN if one.key == rule.key), "")


def markdown() -> str:
    """The page `docs/rules.md`."""
    parts = [_INTRODUCTION]
    parts += [f"- `{name}`: {text}\n" for name, text in PROFILE_TEXT.items()]
    parts += ["\n", _ENDING]
    for role, title in _TITLES.items():
        rules = [rule for rule in RULES.values() if rule.role == role]
        parts.append(f"\n## {title}\n")
        for rule in rules:
            parts.extend(_section(rule))
    parts.append(_specimens())
    return "".join(parts)


def _section(rule: Rule) -> Iterator[str]:
    yield f"\n### {rule.id}\n\n{_wrapped(rule.text)}\n"
    if rule.position:
        yield f"\n{_wrapped('Position: ' + rule.position)}\n"
    sources = "; ".join(f"[{title}]({url})" if url else title for title, url in rule.sources)
    judged = ", ".join(f"`{name}`" if " " in name else name for name in seen_by(rule)) or "a human"
    yield f"\n- {rule.level} ({rule.word}), profile `{rule.profile}`, judged by {judged}\n- {sources}\n"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 118, break_on_hyphens=False, break_long_words=False)


def _specimens() -> str:
    """The table of rules and the specimens that break them, which the tests hold to be complete."""
    from wsgikit.validators.specimens import BROKEN

    lines = [
        "\n## What proves the validator\n\n",
        "Each of these breaks the rule in its row, and no other but those named as implied; the tests run all.\n",
        "The servers that prove `check server` have a page of their own, [mutants.md](mutants.md).\n\n",
        "| Rule | Specimen | Found by | Implied, and why |\n|---|---|---|---|\n",
    ]
    for rule in RULES.values():
        for one in BROKEN:
            if one.key == rule.key:
                implied = "; ".join(f"{key}: {why}" for key, why in one.implied.items())
                found = "Lint" if one.seen_by == "lint" else f"`check {one.seen_by}`"
                lines.append(f"| {rule.id} | {one.subject.__name__.replace('_', ' ')} | {found} | {implied} |\n")
    return "".join(lines)
