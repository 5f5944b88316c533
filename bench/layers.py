"""What each middleware adds to a request, in microseconds, and what five layers that only pass through add together.

    python bench/layers.py [--rounds 15] [--json]

The app answers a list of one 1,000-byte block of declared length. Every contender answers in turn in each round, so
that whatever else the machine does meets all of them; figures are the median of the rounds and the lowest, less the
bare app's. `wsgikit` is with what our server puts into the environ (on_close, raw headers, facts for the log), `other`
without.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any

from wsgikit.middleware import NAMES, Use
from wsgikit.wsgi.wrap import Blocks, wrap

REQUESTS = 500
LIMIT = 10.0
"""What five pass-through layers may add together, in microseconds."""
BODY = b"The quick brown fox jumps over the lazy dog. " * 22 + b"0123456789"
App = Callable[..., Iterable[bytes]]


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(BODY)))])
    return [BODY]


# What each does when it has nothing to refuse; where a field of the request decides, one that makes it work.
OPTIONS: dict[str, dict[str, Any]] = {
    "access-log": {"file": "off"},
    "basic-auth": {"users": {"ada": "plain:tea"}},
    "cascade": {"then": [app]},
    "cgi-directory": {"directory": tempfile.gettempdir(), "at": "/cgi-bin"},
    "concurrency": {"limit": 100},
    "cors": {"origins": ["https://a.example"]},
    "ip-allow": {"allow": ["192.0.2.0/24"]},
    "maintenance": {"flag": "/no/such/file"},
    "rate-limit": {"rate": "1000000/s"},
    "rewrite": {"rules": [{"rule": "/old/<path:rest>", "path": "/new/{rest}"}]},
    "static": {"directory": tempfile.gettempdir(), "at": "/files"},
    "xslt": {"follow": "app"},
}
# These answer by themselves and pass nothing on.
APPS = {"forward", "status"}
FIELDS = {
    "HTTP_HOST": "shop.example",
    "HTTP_ACCEPT": "*/*",
    "HTTP_ACCEPT_ENCODING": "gzip",
    "HTTP_AUTHORIZATION": "Basic YWRhOnRlYQ==",
    "HTTP_ORIGIN": "https://a.example",
    "HTTP_USER_AGENT": "bench",
}
HOOKS: dict[str, dict[str, Any]] = {
    "on_headers": {"on_headers": lambda response: None},
    "on_close": {"on_close": lambda response: None},
    "on_body, None": {"on_body": lambda response: None},
    "on_error": {"on_error": lambda response: b""},
    "on_body, a transform": {"on_body": lambda response: Blocks(bytes)},
}


def main() -> int:
    """Measure and print; the status is 1 when five pass-through layers cost more than they may."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    rows = list(measure(options.rounds))
    for row in rows:
        if options.json:
            print(json.dumps(row))
        else:
            print("{server:<8} {name:<32} {median:8.2f} us {lowest:8.2f} us".format(**row))
    passing = [row for row in rows if row["name"].startswith("5 x ") and "transform" not in row["name"]]
    return 0 if all(row["lowest"] < LIMIT for row in passing) else 1


def contenders() -> dict[str, App]:
    found: dict[str, App] = {"bare app": app}
    for name, hooks in HOOKS.items():
        stack: App = app
        for _ in range(5):
            stack = layer(stack, hooks)
        found[f"5 x wrap({name})"] = stack
    for name in sorted(NAMES.keys() - APPS):
        found[name] = Use(name, **OPTIONS.get(name, {}))(app)
    return found


def layer(inner: App, hooks: dict[str, Any]) -> App:
    return lambda environ, start_response: wrap(inner, environ, start_response, **hooks)


def measure(rounds: int) -> Iterable[dict[str, Any]]:
    """One row a contender and kind of server."""
    for server in ("wsgikit", "other"):
        given = environ(server)
        apps = contenders()
        times: dict[str, list[float]] = {name: [] for name in apps}
        for _ in range(rounds):
            for name, contender in apps.items():
                times[name].append(once(contender, given))
        base = statistics.median(times["bare app"]), min(times["bare app"])
        for name, found in times.items():
            less = (0.0, 0.0) if name == "bare app" else base
            yield {
                "server": server,
                "name": name,
                "median": statistics.median(found) - less[0],
                "lowest": min(found) - less[1],
            }


def once(contender: App, given: dict[str, Any]) -> float:
    """Microseconds per request."""
    began = time.perf_counter()
    for _ in range(REQUESTS):
        iterable = contender(given, start_response)
        for _ in iterable:
            pass
        close = getattr(iterable, "close", None)
        if close is not None:
            close()
        for callback in CALLBACKS:
            callback()
        CALLBACKS.clear()
    return (time.perf_counter() - began) / REQUESTS * 1e6


CALLBACKS: list[Callable[[], object]] = []


def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
    return bytes


def environ(server: str) -> dict[str, Any]:
    given: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/page",
        "QUERY_STRING": "",
        "SERVER_NAME": "shop.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **FIELDS,
    }
    if server == "wsgikit":
        raw = [(name[5:].replace("_", "-").title().encode(), value.encode()) for name, value in FIELDS.items()]
        given |= {"wsgikit.on_close": CALLBACKS.append, "wsgikit.log": {}, "wsgikit.raw_headers": raw}
    return given


if __name__ == "__main__":
    sys.exit(main())
