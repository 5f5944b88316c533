"""The driver's end of the control line: records what the probe reports, and holds its gates.

It listens on loopback and checks a token in every message. It knows calls and events, and nothing of rules or HTTP.
"""

from __future__ import annotations

import json
import secrets
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# A report holds an environ; a server that puts megabytes into one is cut off and the report ignored.
_LONGEST_MESSAGE = 4 * 1024 * 1024
_MOST_CALLS = 2000


@dataclass(slots=True)
class SeenCall:
    """One call of the probe app, as the app itself saw it."""

    id: str
    facts: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return int(self.facts["pid"])

    @property
    def environ(self) -> dict[str, str]:
        """The text of each environ value: a str's own, any other type's repr()."""
        return {key: value[1] for key, value in self.facts["environ"].items()}

    @property
    def types(self) -> dict[str, str]:
        """The type of each environ value, as "builtins.str"."""
        return {key: value[0] for key, value in self.facts["environ"].items()}

    @property
    def path(self) -> str:
        """The whole path, however the server divides it."""
        return self.environ.get("SCRIPT_NAME", "") + self.environ.get("PATH_INFO", "")

    def first(self, name: str) -> dict[str, Any] | None:
        """The data of the first event of that name, or None."""
        return next((data for event, data in self.events if event == name), None)

    def all(self, name: str) -> list[dict[str, Any]]:
        """The data of every event of that name."""
        return [data for event, data in self.events if event == name]

    def story(self) -> str:
        """The events in one line, for a report."""
        return " -> ".join(["called", *(f"{name}{_short(data)}" for name, data in self.events)])


def _short(data: dict[str, Any]) -> str:
    text = ", ".join(f"{key}={value!r}" for key, value in data.items() if key != "sha256")
    return f"({text[:120]})" if text else ""


class Control:
    """Collects calls by trial: `begin()` forgets what was seen, and late events of forgotten calls are dropped.

    `plan` is what the probe's default endpoint is told to do: reads, status, blocks, length. A call whose X-Trial
    header is not `tag` was meant for an earlier trial and comes too late (a pipelined request); it is dropped as well.
    """

    def __init__(self) -> None:
        self.token = secrets.token_hex(8)
        self._changed = threading.Condition()
        self._calls: dict[str, SeenCall] = {}
        self._open: set[str] = set()
        self.plan: dict[str, Any] = {}
        self.tag = ""
        self._epoch = 0
        self._server = _Listener(("127.0.0.1", 0), _Message)
        self._server.control = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """What the probe reads: host, port and token, separated by spaces."""
        host, port = self._server.server_address[:2]
        return f"{host!s} {port} {self.token}"

    def close(self) -> None:
        self.begin()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def begin(self) -> None:
        """A new trial: lets everybody go who waits at a gate, and starts with no calls."""
        with self._changed:
            self._epoch += 1
            self._calls = {}
            self._open = set()
            self.plan = {}
            self._changed.notify_all()

    def open(self, gate: str) -> None:
        """Lets the app pass the gate, now or when it arrives there."""
        with self._changed:
            self._open.add(gate)
            self._changed.notify_all()

    def calls(self) -> list[SeenCall]:
        """The calls of this trial, in order."""
        with self._changed:
            return list(self._calls.values())

    def wait_for(self, condition: Callable[[], Any], seconds: float) -> Any:
        """The condition's first true value, asked after every event; its last value when time is up."""
        with self._changed:
            return self._changed.wait_for(condition, seconds)

    def receive(self, message: dict[str, Any]) -> dict[str, Any]:
        """What the listener does with one message."""
        if message.get("token") != self.token:
            return {}
        if "gate" in message:
            return {"open": self._wait_at(str(message["gate"]), float(message.get("seconds", 10.0)))}
        with self._changed:
            self._record(str(message["call"]), str(message["event"]), dict(message.get("data", {})))
            self._changed.notify_all()
            return {"plan": self.plan}

    def _record(self, call: str, event: str, data: dict[str, Any]) -> None:
        if event == "called":
            self._add(SeenCall(call, data))
        elif call in self._calls:
            self._calls[call].events.append((event, data))

    def _add(self, call: SeenCall) -> None:
        tag = call.environ.get("HTTP_X_TRIAL", self.tag)
        if tag == self.tag and len(self._calls) < _MOST_CALLS:
            self._calls[call.id] = call

    def _wait_at(self, gate: str, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        with self._changed:
            epoch = self._epoch
            self._changed.wait_for(lambda: gate in self._open or self._epoch != epoch, deadline - time.monotonic())
            return gate in self._open and self._epoch == epoch


class _Listener(socketserver.ThreadingTCPServer):
    control: Control
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A probe whose process was killed in the middle of a message; nothing to do about it."""


class _Message(socketserver.StreamRequestHandler):
    timeout = 35.0

    def handle(self) -> None:
        server = self.server
        line = self.rfile.readline(_LONGEST_MESSAGE)
        if isinstance(server, _Listener) and line.endswith(b"\n"):
            self.wfile.write(json.dumps(server.control.receive(json.loads(line))).encode("ascii") + b"\n")
