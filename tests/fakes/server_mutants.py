"""The table of mutants: for every rule of a server that a program can judge, one server that breaks it.

Each is the tiny server with one behaviour changed. `implied` names the rules that cannot be kept when this one is
broken in this way, each with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from tiny_server import Request, TinyServer


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """`rule` is the key ("S09"), `request` the broken class; `server_type` where more than a request is broken."""

    rule: str
    request: type[Request]
    words: str
    implied: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tls: bool = False
    process: bool = False
    server_type: type[TinyServer] = TinyServer

    @property
    def id(self) -> str:
        return self.rule


MUTANTS: list[Mutant] = []


def mutant(
    rule: str,
    words: str,
    *,
    implied: Mapping[str, str] | None = None,
    tls: bool = False,
    process: bool = False,
    server_type: type[TinyServer] = TinyServer,
) -> Callable[[type[Request]], type[Request]]:
    """Enters the decorated class."""

    def enter(request: type[Request]) -> type[Request]:
        MUTANTS.append(
            Mutant(
                rule=rule,
                request=request,
                words=words,
                implied=MappingProxyType(dict(implied or {})),
                tls=tls,
                process=process,
                server_type=server_type,
            )
        )
        return request

    return enter


def load() -> list[Mutant]:
    """All of them; importing the modules fills the table."""
    import server_mutants_environ
    import server_mutants_response
    import server_mutants_wire

    for module in (server_mutants_environ, server_mutants_response, server_mutants_wire):
        assert module.__doc__
    return sorted(MUTANTS, key=lambda one: one.rule)


def by_name(rule: str) -> Mutant:
    return next(one for one in load() if one.rule == rule)
