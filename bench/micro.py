"""What single steps of a request cost, in microseconds: `python bench/micro.py [--seconds N]`.

The best of several runs, pinned to one core: a busy machine only ever adds to a step's time.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial

from workloads import BROWSER, HELLO

from wsgikit.observe import access_logger
from wsgikit.observe.logformat import compile_format
from wsgikit.observe.record import Access
from wsgikit.observe.settings import LogSettings
from wsgikit.wire.http11 import Limits, parse_head

CUSTOM = '%(h)s %(t)s "%(r)s" %(s)s %(b)s %(D)s %(wait)s %(app)s "%({host}i)s"'
RUNS = 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/micro.py", description="Time single steps of a request.")
    parser.add_argument("--seconds", type=float, default=0.2, help="length of one run; the best of five is shown")
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for name, step in (*heads(), *formats()):
        show(name, step, options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("combined", "json", CUSTOM):
            log = access_logger(LogSettings(access_logfile=f"{folder}/access.log", access_logformat=name))
            if log is not None:
                show(f"access line written: {name}", partial(log, RECORD), options.seconds)
                log.close()


def show(name: str, step: Callable[[], object], seconds: float) -> None:
    print(f"{best(step, seconds):8.2f} us  {name}", flush=True)


def best(step: Callable[[], object], seconds: float) -> float:
    """Microseconds of one call, in the best of RUNS runs."""
    calls = 1
    while timed(step, calls) < seconds / 20:
        calls *= 2
    calls *= 20
    return min(timed(step, calls) for _ in range(RUNS)) / calls * 1e6


def timed(step: Callable[[], object], calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        step()
    return time.perf_counter() - started


def heads() -> list[tuple[str, Callable[[], object]]]:
    limits = Limits()
    plain = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"
    fields = "".join(f"{name}: {value}\r\n" for name, value in (("Host", "shop.example"), *BROWSER))
    browser = f"GET /catalogue/shoes?page=3 HTTP/1.1\r\n{fields}\r\n".encode()
    return [
        ("parse_head, wrk's request", partial(parse_head, plain, 0, limits)),
        ("parse_head, a browser's 12 fields", partial(parse_head, browser, 0, limits)),
    ]


RECORD = Access(
    {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (("Host", "shop.example"), *BROWSER)},
    "GET", b"/catalogue/shoes?page=3", "192.0.2.17", "HTTP/1.1", "200 OK", [("Content-Type", "text/plain")], len(HELLO),
    1795157799.5, 0.0001, 0.0, 0.0123, 0.0001, {"route": "/catalogue/<shelf>", "request_id": "4f1c9a"}, "wsgikit-3",
)  # fmt: skip


def formats() -> list[tuple[str, Callable[[], object]]]:
    names = ("combined", "json", CUSTOM)
    return [(f"access line formatted: {name}", partial(compile_format(name), RECORD)) for name in names]


if __name__ == "__main__":
    main()
