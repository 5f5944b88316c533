"""Rules in Werkzeug's syntax, taken apart: `/area/<int:id>/<name>-<rev>` as segments with a precedence each.

Owns: the syntax, and the precedence key of a rule. Must not know tables, hosts, methods or requests.

A segment is what stands between two slashes. Its kind, best first: static text; text beside a converter (longer text
first); typed (a converter other than plain); plain (`<name>` or `<string:name>` without arguments); catch-all (a
converter that is not `part_isolating`), which takes the rest of the rule with it; among catch-alls, more text in that
rest first. The keys of the segments, compared from left to right, decide between two rules that match the same path,
and the order of registration decides when all keys are equal. As the key depends on the rule alone, no third rule can
change the decision between two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.router.convert import Converters
from wsgikit.middleware.router.sharing import shared

STATIC, MIXED, TYPED, PLAIN, CATCH_ALL = range(5)
KIND_NAMES = ("static", "text beside a converter", "typed", "plain", "catch-all")

_PIECE = re.compile(
    r"(?P<text>[^</]+)|(?P<slash>/)"
    r"|<(?:(?P<converter>[a-zA-Z_][a-zA-Z0-9_]*)(?:\((?P<arguments>.*?)\))?:)?(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)>"
)


@dataclass(frozen=True, slots=True)
class Variable:
    """`<converter(arguments):name>`: `converter` is an instance of one of Werkzeug's classes or of a subclass.

    `convert` is its `to_python`, or None where that gives back what it gets.
    """

    name: str
    converter: Any
    regex: str
    plain: bool
    convert: Callable[[str], Any] | None


Piece = str | Variable


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; a catch-all's pieces run to the end of the rule, its slashes among the text."""

    pieces: tuple[Piece, ...]
    kind: int
    key: tuple[int, int]

    @property
    def variables(self) -> tuple[Variable, ...]:
        return tuple(piece for piece in self.pieces if isinstance(piece, Variable))

    @property
    def text(self) -> str:
        """The text of a static segment."""
        return "".join(piece for piece in self.pieces if isinstance(piece, str))

    def regex(self, *, groups: bool) -> str:
        """The segment as a regex for fullmatch; with groups, the n-th variable is group `v<n>`."""
        variables = self.variables
        if len(self.pieces) == 1 and variables and not groups:
            return variables[0].regex
        texts = [""]
        for piece in self.pieces:
            if isinstance(piece, str):
                texts[-1] += piece
            else:
                texts.append("")
        regexes = shared(texts, [variable.regex for variable in variables])
        groups_of = (f"(?P<v{number}>{regex})" if groups else f"(?:{regex})" for number, regex in enumerate(regexes))
        return re.escape(texts[0]) + "".join(
            f"{group}{re.escape(text)}" for group, text in zip(groups_of, texts[1:], strict=True)
        )


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed rule. `key` orders rules that match the same path."""

    rule: str
    segments: tuple[Segment, ...]

    @property
    def key(self) -> tuple[tuple[int, int], ...]:
        return tuple(segment.key for segment in self.segments)

    @property
    def variables(self) -> tuple[Variable, ...]:
        return tuple(variable for segment in self.segments for variable in segment.variables)

    @property
    def catch_all(self) -> bool:
        return bool(self.segments) and self.segments[-1].kind == CATCH_ALL

    def without_slash(self) -> Pattern:
        """The rule without its trailing slash: the root has no segment at all then. For prefixes."""
        last = self.segments[-1]
        return self if last.pieces else Pattern(self.rule, self.segments[:-1])

    def twin(self) -> Pattern | None:
        """The same rule with its trailing slash taken away or added; the root's twin is the empty path.

        None for a rule that ends in a catch-all variable: it matches its own twin already.
        """
        if not self.segments:
            return None
        last = self.segments[-1]
        if last.kind == CATCH_ALL:
            if not isinstance(last.pieces[-1], str):
                return None
            text = last.pieces[-1]
            pieces = (*last.pieces[:-1], text[:-1] if text.endswith("/") else text + "/")
            return Pattern(self.rule, (*self.segments[:-1], _classify(tuple(p for p in pieces if p))))
        if last.pieces:
            return Pattern(self.rule, (*self.segments, _classify(())))
        return Pattern(self.rule, self.segments[:-1])


def parse(rule: str, converters: Converters) -> Pattern:
    """Parse a rule.

    Raises ConfigError with the rule in the message: no slash in front, an unclosed `<`, a name used twice, a
    converter that does not exist or refuses its arguments.
    """
    if not rule.startswith("/"):
        raise ConfigError(f"rule {rule!r}: does not begin with a slash")
    segments: list[Segment] = []
    pieces: list[Piece] = []
    for piece in _pieces(rule[1:], rule, converters):
        if piece == "/" and not any(_spans(p) for p in pieces):
            segments.append(_classify(tuple(pieces)))
            pieces = []
        else:
            pieces.append(piece)
    segments.append(_classify(_joined(pieces)))
    pattern = Pattern(rule, tuple(segments))
    names = [variable.name for variable in pattern.variables]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"rule {rule!r}: the variable {name!r} is used twice")
    return pattern


def _pieces(text: str, rule: str, converters: Converters) -> Iterator[Piece]:
    position = 0
    while position < len(text):
        match = _PIECE.match(text, position)
        if match is None:
            raise ConfigError(
                f"rule {rule!r}: malformed at {text[position:]!r}; a variable is <converter(arguments):name>"
            )
        position = match.end()
        if match["name"] is None:
            yield match[0]
        else:
            declared = match["converter"]
            converter = converters.make(rule, declared or "default", match["arguments"] or "")
            plain = not match["arguments"] and converters.is_plain(declared, converter)
            regex, convert = converters.regex(converter), converters.conversion(converter)
            yield Variable(match["name"], converter, regex, plain, convert)


def _spans(piece: Piece) -> bool:
    return isinstance(piece, Variable) and not piece.converter.part_isolating


def _joined(pieces: list[Piece]) -> tuple[Piece, ...]:
    """Neighbouring texts made one, so that `/` and what follows it in a catch-all are one piece."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and isinstance(piece, str) and isinstance(joined[-1], str):
            joined[-1] += piece
        else:
            joined.append(piece)
    return tuple(joined)


def _classify(pieces: tuple[Piece, ...]) -> Segment:
    variables = [piece for piece in pieces if isinstance(piece, Variable)]
    length = sum(len(piece) for piece in pieces if isinstance(piece, str))
    if any(_spans(variable) for variable in variables):
        return Segment(pieces, CATCH_ALL, (CATCH_ALL, -length))
    if not variables:
        return Segment(pieces, STATIC, (STATIC, 0))
    if length:
        return Segment(pieces, MIXED, (MIXED, -length))
    kind = PLAIN if all(variable.plain for variable in variables) else TYPED
    return Segment(pieces, kind, (kind, 0))
