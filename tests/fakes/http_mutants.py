"""The table of HTTP mutants: for every rule about HTTP, one server that breaks it, and the vector that notices.

Most servers that break a rule of HTTP take bytes for something else than they are. So most mutants are the tiny server
with one pattern: what matches among the bytes that arrive is replaced before it is read (`takes`), gets a refusal
(`refuses`), ends the connection without a word (`drops`), or leaves the client waiting (`stalls`). The others override
a method, as `server_mutants` do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from server_mutants import Mutant
from tiny_server import Connection, Request

from wsgikit.errors import Disconnected, ProtocolError
from wsgikit.validators.report import Verdict


@dataclass(frozen=True, kw_only=True)
class HttpMutant(Mutant):
    """`case` is the part of the vector's id after the rule, `verdict` what the checks have to say about it."""

    case: str
    verdict: Verdict = Verdict.FAIL

    @property
    def id(self) -> str:
        return f"{self.rule}-{self.case}"


HTTP_MUTANTS: list[HttpMutant] = []


def http_mutant(
    rule: str, case: str, words: str, verdict: Verdict = Verdict.FAIL
) -> Callable[[type[Request]], type[Request]]:
    """Enters the decorated class."""

    def enter(request: type[Request]) -> type[Request]:
        HTTP_MUTANTS.append(HttpMutant(rule=rule, case=case, words=words, verdict=verdict, request=request))
        return request

    return enter


def connecting(connection: type[Connection]) -> type[Request]:
    """The correct request behind another way of reading."""
    return type(connection.__name__, (Request,), {"connection_type": connection})


def reading(
    rule: str, case: str, words: str, verdict: Verdict = Verdict.FAIL
) -> Callable[[type[Connection]], type[Connection]]:
    """Enters a server with the decorated class for its connections."""

    def enter(connection: type[Connection]) -> type[Connection]:
        http_mutant(rule, case, words, verdict)(connecting(connection))
        return connection

    return enter


def takes(rule: str, case: str, words: str, pattern: bytes, instead: bytes, verdict: Verdict = Verdict.FAIL) -> None:
    """A server that takes what matches `pattern` for what stands in `instead`."""
    wanted = re.compile(pattern, re.DOTALL)

    class Takes(Connection):
        def receive(self) -> bool:
            more = super().receive()
            self.buffer = bytearray(wanted.sub(instead, bytes(self.buffer)))
            return more

    reading(rule, case, words, verdict)(Takes)


def refuses(
    rule: str, case: str, words: str, pattern: bytes, status: int = 400, verdict: Verdict = Verdict.FAIL
) -> None:
    """A server that refuses what matches, though it is in order."""
    _on_match(rule, case, words, pattern, ProtocolError("refused-by-mutant", status), verdict)


def drops(rule: str, case: str, words: str, pattern: bytes, verdict: Verdict) -> None:
    """A server that ends the connection without a response where something matches."""
    _on_match(rule, case, words, pattern, Disconnected("dropped by the mutant"), verdict)


def stalls(rule: str, case: str, words: str, pattern: bytes, verdict: Verdict = Verdict.FAIL) -> None:
    """A server that takes whatever comes after a match, and answers nothing."""
    _on_match(rule, case, words, pattern, None, verdict)


def _on_match(rule: str, case: str, words: str, pattern: bytes, error: Exception | None, verdict: Verdict) -> None:
    wanted = re.compile(pattern, re.DOTALL)

    class OnMatch(Connection):
        def receive(self) -> bool:
            more = super().receive()
            if wanted.search(self.buffer):
                if error is not None:
                    raise error
                while self.peer.recv(65536):
                    pass
                return False
            return more

    reading(rule, case, words, verdict)(OnMatch)


def load_http() -> list[HttpMutant]:
    """All of them; importing the modules fills the table."""
    import http_mutants_body
    import http_mutants_head

    for module in (http_mutants_head, http_mutants_body):
        assert module.__doc__
    return sorted(HTTP_MUTANTS, key=lambda one: one.id)
