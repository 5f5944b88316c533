"""What a case is, how it ends, and the table of all cases. Knows no case by name and no server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsgikit.validators.rules import Rule, rule

if TYPE_CHECKING:
    from wsgikit.validators.server.trial import Trial


class Broken(Exception):
    """The rule is broken; the text says what was seen.

    `level` other than "" replaces the rule's: must, should, advice.
    """

    def __init__(self, detail: str, level: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.level = level


class NotApplicable(Exception):
    """The target lacks what the rule is about; the text is the reason for the SKIP."""


class Unclear(Exception):
    """Nothing can be concluded: the request never reached the app, the machine was too slow."""


@dataclass(frozen=True, slots=True)
class Case:
    """One experiment about one rule. `run` returns when the rule is kept, and raises one of the above otherwise.

    `timing` marks those that a busy machine can spoil; they are tried more often. `alone` marks those that start
    servers of their own, `wire` those that say something about a server without the probe as well. What `run` returns,
    a str, is a remark on a rule that was kept.
    """

    rule: Rule
    name: str
    run: Callable[[Trial], str | None]
    timing: bool = False
    alone: bool = False
    wire: bool = False

    @property
    def id(self) -> str:
        return f"{self.rule.id} {self.name}"


CASES: list[Case] = []
"""Every case; `wsgikit.validators.server.cases.load()` fills it."""


def case(
    key: str, *, name: str = "", timing: bool = False, alone: bool = False, wire: bool = False
) -> Callable[[Callable[[Trial], str | None]], Callable[[Trial], str | None]]:
    """Enters the decorated function into `CASES` under the rule `key` ("S09", "H31"); several may share a function."""

    def enter(run: Callable[[Trial], str | None]) -> Callable[[Trial], str | None]:
        title = name or run.__name__.replace("_", "-")
        CASES.append(Case(rule(key), title, run, timing, alone, wire))
        return run

    return enter
