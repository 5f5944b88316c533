"""`docs/middleware.md`: the manual pages of all middleware, from their modules' docstrings. Text out, nothing in.

Owns the form of the page. Must not know what the pages say.
"""

from __future__ import annotations

import re
from importlib import import_module

from wsgikit.middleware import NAMES

__all__ = ["middleware_page"]

_INTRODUCTION = """\
# Middleware

<!-- Made by `make docs` from the docstrings in middleware/; changes here are lost. -->

Each of these wraps any WSGI app on any WSGI server, keeps PEP 3333 towards both, and can be taken out again without
breaking the app. In Python: `from wsgikit.middleware import Stack, Use, NAME`; in `wsgikit.toml`: a `[[mount.use]]`
table with `middleware = "name"` and the options beside it. Times are seconds or texts such as `"30s"`, sizes bytes or
texts such as `"10MiB"`. `examples/stacks` has one example for each.
"""
# what is not in a stack by a short name, but belongs on the page
_BEFORE = (("Stacks", "wsgikit.middleware.stack"), ("Conditions", "wsgikit.middleware.conditions"))
_AFTER = (("PasteDeploy", "wsgikit.middleware.paste"), ("Writing your own", "wsgikit.wsgi.wrap"))
# an option of a page stands two levels in, and goes on further in
_LABEL = re.compile(r"^(Options|Streaming|Other servers|Memory|Secrets|Not caught)\b(.*)$", re.MULTILINE)


def middleware_page() -> str:
    """The whole page."""
    rows = ["| Name | Class | What it does |", "|---|---|---|"]
    sections = [_section(title, module) for title, module in _BEFORE]
    for name, target in sorted(NAMES.items()):
        module, _, kind = target.partition(":")
        rows.append(f"| [{name}](#{name}) | `{kind}` | {_summary(module)} |")
        sections.append(_section(name, module))
    sections += [_section(title, module) for title, module in _AFTER]
    return "\n".join([_INTRODUCTION, *rows, "", *sections])


def _pages(module: str) -> str:
    return import_module(module).__doc__ or ""


def _summary(module: str) -> str:
    return _pages(module).strip().partition("\n\n")[0].replace("\n", " ")


def _section(title: str, module: str) -> str:
    """One docstring as Markdown: what is indented becomes a block of code, labels become bold."""
    lines: list[str] = []
    for line in _pages(module).strip().splitlines():
        indented = line.startswith("    ")
        if lines and lines[-1] and indented != lines[-1].startswith("    ") and line:
            lines.append("")
        lines.append(line if indented else _LABEL.sub(r"**\1**\2", line))
    return f"## {title}\n\n" + "\n".join(lines) + "\n"
