"""In which order layers have to stand, and why.

Owns the rules. A middleware says what it does by `traits`, a set of words on its class:

    compresses        encodes bodies                        rewrites    reads or changes bodies, so they must be plain
    names-request     gives the request its id              logs        writes a log or measures
    trusts-proxy      sets REMOTE_ADDR, scheme and host     by-address  decides by REMOTE_ADDR
    authenticates     refuses requests without credentials  preflight   answers CORS preflights
    catches           turns exceptions into answers         terminal    answers every request by itself
    answers           answers the requests that it knows

With one of the last two a `[[mount]]` needs no app.

Foreign middleware without traits is left alone. Layers with `when=` are judged like others: a condition that keeps two
of them apart is seldom meant to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from wsgikit.middleware.stack import Use

__all__ = ["RULES", "Rule", "problems"]


class Rule(NamedTuple):
    """A layer with trait `outer` belongs outside a layer with trait `inner`; `why` completes "{outer} ... {inner}"."""

    outer: str
    inner: str
    why: str


RULES = (
    Rule("compresses", "rewrites", "{inner} would get compressed bytes and could not read them"),
    Rule("preflight", "authenticates", "a preflight request has no credentials, so {inner} would refuse it"),
    Rule("trusts-proxy", "by-address", "{inner} would see the proxy's address instead of the client's"),
    Rule("trusts-proxy", "logs", "{inner} would log the proxy's address instead of the client's"),
    Rule("names-request", "catches", "{inner} could not tell the request id with its error page"),
    Rule("logs", "catches", "{outer} would see an exception instead of the error page's status"),
)
_OUTERMOST = "names-request"
# What may stand outside the layer that gives the request its id: what it depends on, what learns the id through the
# facts for the log, and what the rules above have spoken of already.
_BEFORE_ID = frozenset(("names-request", "trusts-proxy", "logs", "catches"))


def problems(uses: Sequence[Use[...]]) -> Iterator[str]:
    """Sentences about layers in the wrong order; `uses` is outermost first."""
    for rule in RULES:
        for place, inside in enumerate(uses):
            if rule.outer not in inside.traits:
                continue
            for outside in uses[:place]:
                if rule.inner in outside.traits and rule.outer not in outside.traits:
                    why = rule.why.format(outer=inside.name, inner=outside.name)
                    yield f"{inside.name} stands inside {outside.name}, but belongs outside it: {why}"
    yield from _not_outermost(uses)
    yield from _twice(uses)


def _not_outermost(uses: Sequence[Use[...]]) -> Iterator[str]:
    for place, use in enumerate(uses):
        if _OUTERMOST in use.traits:
            before = [outside.name for outside in uses[:place] if not outside.traits & _BEFORE_ID]
            if before:
                names = ", ".join(before)
                yield f"{use.name} belongs outermost: answers that {names} gives by itself would have no request id"


def _twice(uses: Sequence[Use[...]]) -> Iterator[str]:
    seen: set[object] = set()
    for use in uses:
        if "once" in use.traits and use.when is None:
            if use.factory in seen:
                yield f"{use.name} is there twice: the second one finds its work done"
            seen.add(use.factory)
