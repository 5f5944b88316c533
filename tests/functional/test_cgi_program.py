"""`run_cgi` in a process of its own: whenever TERM comes, close() runs, once, and a whole response stays whole."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys
from wsgikit.protocols.cgi import run_cgi

WHEN = sys.argv[1]

def term(when):
    if when == WHEN:
        os.kill(os.getpid(), signal.SIGTERM)

class Body:
    blocks = [b"one", b"two"]

    def __iter__(self):
        return self

    def __next__(self):
        term("in the body")
        if self.blocks:
            return self.blocks.pop(0)
        term("at the end")
        raise StopIteration

    @property
    def close(self):  # looked up by the server, outside of the app's code
        term("before close")
        return self._close

    def _close(self):
        term("in close")
        os.write(2, b"closed\\n")

def app(environ, start_response):
    environ["wsgikit.on_close"](lambda: os.write(2, b"released\\n"))
    term("in the call")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Body()

sys.exit(run_cgi(app))
"""
VARIABLES = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/", "GATEWAY_INTERFACE": "CGI/1.1"}


@pytest.mark.parametrize(
    ("when", "closed", "body"),
    [
        ("never", 1, b"onetwo"),
        ("in the call", 0, b""),
        ("in the body", 1, b""),
        ("at the end", 1, b"onetwo"),
        ("before close", 1, b"onetwo"),
        ("in close", 1, b"onetwo"),
    ],
)
def test_close_runs_whenever_term_comes(when: str, closed: int, body: bytes) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, when], capture_output=True, timeout=20, env={**os.environ, **VARIABLES}
    )
    assert done.stderr.count(b"closed\n") == closed, done.stderr
    assert done.stderr.count(b"released\n") == 1, done.stderr
    assert b"Traceback" not in done.stderr
    assert done.stdout.partition(b"\r\n\r\n")[2] == body
    assert done.returncode == (0 if when in ("never", "before close", "in close") else 1)
