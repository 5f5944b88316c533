"""What Forward asks of whoever decides where a request goes. Names only; see `balancer.upstream`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from wsgikit.client import Origin, Response
    from wsgikit.middleware.forward_request import Call


class Endpoint(Protocol):
    """Who has answered."""

    @property
    def url(self) -> str: ...

    @property
    def origin(self) -> Origin: ...


class Reply(Protocol):
    """An answer. `cookie`: a Set-Cookie to add; `attempts`: how many were asked. `end` is called once, with what went
    wrong, when all is over."""

    @property
    def endpoint(self) -> Endpoint: ...

    @property
    def response(self) -> Response: ...

    @property
    def cookie(self) -> str: ...

    @property
    def attempts(self) -> int: ...

    def end(self, error: BaseException | None = None) -> None: ...


class Attempt(Protocol):
    """A request on its way. `reply`: the answer, where it came at once. Else `fd` is readable when there is reason to
    `look`, and `until` is the time (monotonic seconds) to look at the latest."""

    @property
    def reply(self) -> Reply | None: ...

    @property
    def fd(self) -> int: ...

    @property
    def until(self) -> float: ...

    def look(self, *, wait: bool = False) -> Reply | None:
        """The answer; None while there is none, unless `wait`. Errors as `Backend.send`."""

    def desert(self) -> None:
        """Let go: nobody wants the answer any more. Does nothing when it is there, or has failed."""


class Backend(Protocol):
    """Decides who is asked. `name` is for the log."""

    @property
    def name(self) -> str: ...

    def send(self, call: Call, /) -> Reply:
        """UpstreamError: nobody has given an answer; Disconnected: the client has left meanwhile."""

    def serves(self, endpoint: Any, /) -> bool:
        """Whether an upgraded connection to this endpoint may go on."""


@runtime_checkable
class Patient(Backend, Protocol):
    """A backend that can leave the waiting to us."""

    def begin(self, call: Call, /) -> Attempt:
        """As `send`, up to where there is something to wait for."""
