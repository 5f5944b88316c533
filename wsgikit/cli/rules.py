"""`wsgikit rules`: the catalogue of requirements, as a list, one by one, or as the page of the documentation."""

from __future__ import annotations

import argparse
import json
import sys

from wsgikit.validators.rules import PROFILES, Rule, rule, select

HELP = """Show the rules that the validator knows.

Without an id: a line for each rule. With ids (WSGI-A33, A33, HTTP-31): the whole rule, its source, how it is tested,
our position where the source is unclear, and an example that breaks it."""

_ROLES = ("app", "server", "middleware", "http")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("ids", nargs="*", metavar="ID", help="rules to show in full")
    parser.add_argument("--profile", choices=PROFILES, default="pedantic", help="only the rules of this profile")
    parser.add_argument("--role", choices=_ROLES, help="only the duties of one side")
    parser.add_argument(
        "--format", choices=("text", "json", "markdown"), default="text", help="markdown is the page docs/rules.md"
    )


def run(options: argparse.Namespace) -> int:
    """Print. Returns 0. Raises ConfigError for an unknown id."""
    from wsgikit.validators.rules import catalogue

    chosen = [rule(name) for name in options.ids]
    if options.format == "markdown":
        sys.stdout.write(catalogue.markdown())
    elif options.format == "json":
        rules = chosen or list(select(options.profile, options.role))
        sys.stdout.write(json.dumps([_facts(one) for one in rules], indent=2) + "\n")
    elif chosen:
        sys.stdout.write("\n".join(catalogue.full(one) for one in chosen))
    else:
        sys.stdout.write(catalogue.listing(select(options.profile, options.role)))
    return 0


def _facts(one: Rule) -> dict[str, object]:
    return {
        "id": one.id,
        "role": one.role,
        "word": one.word,
        "level": one.level,
        "profile": one.profile,
        "sources": [{"title": title, "url": url} for title, url in one.sources],
        "methods": list(one.how),
        "human": one.human,
        "text": one.text,
        "position": one.position,
    }
