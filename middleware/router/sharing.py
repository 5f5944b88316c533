"""How several variables of one segment share its text: a regex that finds the same parts, without trying every way.

`<a>-<b>-<c>.html` means `([^/]+)-([^/]+)-([^/]+)\\.html`. On 8000 dashes that tries a cubic number of ways before it
says no, which takes twenty minutes. But of two such variables the first takes all it can, so the second holds no
further dash, save where too little would be left of it; and with paths, which take as little as they can, it is the
first that holds none. Written so, every way that is left out loses against one that is tried: the parts stay the same.

Owns that rewriting. Must not know rules: pieces are texts and variables' regexes. A converter with a regex of its own
is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["PATH", "shared"]

PATH = "(?s:[^/].*?)"
"""Werkzeug's regex for a path, over newlines, too."""

_GREEDY = re.compile(r"\[\^/\](?:\+|\{([1-9][0-9]{0,3}),\})")


def shared(texts: Sequence[str], regexes: Sequence[str]) -> list[str]:
    """The regexes of neighbouring variables, each for the place between its neighbours.

    `texts[n]` stands before variable n and after variable n - 1; there is one more of them than of `regexes`.
    """
    found = list(regexes)
    for number, regex in enumerate(regexes):
        least = _least(regex)
        if least and number and _least(regexes[number - 1]):
            found[number] = _without(texts[number], least)
        elif regex == PATH and regexes[number + 1 : number + 2] == [PATH]:
            found[number] = f"(?s:[^/](?:(?!{re.escape(texts[number + 1])}[^/]).)*?)"
    return found


def _least(regex: str) -> int:
    """How many characters a variable takes at least, where it takes any more without a slash, too; else 0."""
    match = _GREEDY.fullmatch(regex)
    return int(match[1] or 1) if match else 0


def _without(text: str, least: int) -> str:
    """`least` characters or more, without a `text` after which there are as many: the variable before would take it."""
    if not text:
        return f"[^/]{{{least}}}"
    enough = len(text) + least - 1
    longer = f"[^/]{{{enough}}}(?:(?<!{re.escape(text)}[^/]{{{least - 1}}})[^/])*"
    return f"(?:{longer}|[^/]{{{least},{enough - 1}}})" if enough > least else longer
