"""One call of the probe app: what it was given, and how it tells the driver. Knows WSGI; knows no endpoint."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import threading
from collections.abc import Callable
from typing import Any

from . import control

_numbers = itertools.count(1)
_LONGEST = 70000
INPUT_METHODS = ("read", "readline", "readlines", "__iter__")
ERRORS_METHODS = ("flush", "write", "writelines")


def type_name(value: object) -> str:
    """Module and name, so that a subclass called `str` is not taken for str."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def bytes_facts(data: bytes) -> dict[str, Any]:
    """What of `data` goes into a report: all of it when it is short, else its beginning and a digest."""
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "start": data[:4096].decode("latin-1")}


def snapshot(environ: dict[Any, Any]) -> dict[str, list[str]]:
    """{key: [type, text]}: the text of a str is itself, of anything else its repr."""
    seen = {}
    for key, value in list(environ.items()):
        text = value if isinstance(value, str) else repr(value)
        seen[key if isinstance(key, str) else repr(key)] = [type_name(value), str(text)[:_LONGEST]]
    return seen


class Call:
    """What one call was given. `report` adds an event to the driver's record of this call."""

    def __init__(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self.id = f"{os.getpid()}-{next(_numbers)}"
        self.environ: dict[str, Any] = args[0] if args else keywords.get("environ", {})
        self.start_response: Any = args[1] if len(args) > 1 else keywords.get("start_response")
        answer = control.send({"call": self.id, "event": "called", "data": self._facts(args, keywords)})
        self.plan: dict[str, Any] = answer.get("plan") or self._asked_for()

    def _asked_for(self) -> dict[str, Any]:
        """Without a driver the client says what to do: so a pasted request gets the answer that a report is about."""
        plan = self.environ.get("HTTP_X_PROBE_PLAN")
        return dict(json.loads(plan)) if plan else {}

    def _facts(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "thread": threading.get_native_id(),  # get_ident() tells greenlets apart where gevent has patched it
            "args": len(args),
            "keywords": sorted(keywords),
            "environ_type": type_name(self.environ),
            "environ": snapshot(self.environ),
            "own_environment": sorted(os.environ),
            "start_response": callable(self.start_response),
            "input": [name for name in INPUT_METHODS if hasattr(self.environ.get("wsgi.input"), name)],
            "errors": [name for name in ERRORS_METHODS if hasattr(self.environ.get("wsgi.errors"), name)],
        }

    def report(self, event: str, **data: Any) -> None:
        """Blocks until the driver has it."""
        control.send({"call": self.id, "event": event, "data": data})

    def attempt(self, event: str, function: Callable[..., Any], *args: Any) -> BaseException | None:
        """Calls the function, reports what it raised (None: nothing) and returns that."""
        try:
            function(*args)
        except BaseException as error:
            self.report(event, raised=type(error).__name__, text=str(error)[:300])
            return error
        self.report(event, raised=None, text="")
        return None

    def option(self, name: str, default: str = "") -> str:
        """A parameter from the query string; values are plain, never percent-encoded."""
        for part in str(self.environ.get("QUERY_STRING", "")).split("&"):
            key, _, value = part.partition("=")
            if key == name:
                return value
        return default

    def number(self, name: str, default: int = 0) -> int:
        """A decimal parameter from the query string."""
        return int(self.option(name, str(default)))

    def headers(self, length: int | None = None) -> list[tuple[str, str]]:
        """Header list of an ordinary answer; X-Probe lets the client match the answer to this call."""
        headers = [("Content-Type", "text/plain"), ("X-Probe", self.id)]
        if length is not None:
            headers.append(("Content-Length", str(length)))
        return headers

    def answer(self, body: bytes = b"ok", status: str = "200 OK") -> list[bytes]:
        """A whole, ordinary response."""
        self.start_response(status, self.headers(len(body)))
        return [body]
