"""What happened, in order, on both sides of a middleware. Events only; what they mean is judged elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

# The server's side of the middleware.
CALL, RETURN, RAISE, START, WRITE, ASK, GIVE, END, CLOSE = (
    "call", "return", "raise", "start", "write", "ask", "give", "end", "close",
)  # fmt: skip
# The app's side of it.
IN_CALL, IN_START, IN_RETURN, IN_ASK, IN_GIVE, IN_END, IN_RAISE, IN_CLOSE, IN_ITERATOR_CLOSE, IN_LOOK, IN_WRITE = (
    "app call", "app start", "app return", "app ask", "app give", "app end", "app raise", "app close",
    "app iterator close", "app look", "app write",
)  # fmt: skip


class Event(NamedTuple):
    """`what` is one of the constants above, `data` what came with it."""

    what: str
    data: Any = None


class Trace:
    """The events of one request."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, what: str, data: Any = None) -> None:
        """Note an event."""
        self.events.append(Event(what, data))

    def all(self, what: str) -> list[Any]:
        """The data of every event of a kind."""
        return [event.data for event in self.events if event.what == what]

    def count(self, what: str) -> int:
        """How often it happened."""
        return sum(event.what == what for event in self.events)

    def before(self, what: str) -> Iterator[Event]:
        """The events before the first of a kind; all of them when there is none."""
        for event in self.events:
            if event.what == what:
                return
            yield event

    def body(self) -> bytes:
        """What reached the server, written and given, in order."""
        return b"".join(event.data for event in self.events if event.what in (GIVE, WRITE) and _is_bytes(event.data))

    def steps(self) -> Iterator[list[Event]]:
        """The events between each time the server asked for a block and the time it got one, the end, or an error."""
        step: list[Event] | None = None
        for event in self.events:
            if event.what == ASK:
                step = []
            elif event.what in (GIVE, END, RAISE) and step is not None:
                step.append(event)
                yield step
                step = None
            elif step is not None:
                step.append(event)
        if step is not None:
            yield step

    def text(self, limit: int = 40) -> str:
        """The events on one line, for people."""
        words = [event.what + (f"({len(event.data)})" if _is_bytes(event.data) else "") for event in self.events]
        return ", ".join(words[:limit]) + (", ..." if len(words) > limit else "")


def _is_bytes(value: object) -> bool:
    return isinstance(value, bytes)
