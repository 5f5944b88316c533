"""Product code for tests of servers and of code that talks to sockets. Standard library only.

`RawClient` decides every byte it sends, `ResponseReader` reads a response strictly, `ByteScript` is a socket on
paper, `FakeClock` moves when told to, `ServerProcess` runs a server by its command. `wsgikit.testing.vectors` holds
HTTP/1.1 requests, good and bad, with what a server may answer.
"""

from __future__ import annotations

from wsgikit.testing.bytescript import ByteScript
from wsgikit.testing.client import Address, RawClient
from wsgikit.testing.clock import FakeClock
from wsgikit.testing.ports import accepts, free_port, wait_until_accepts
from wsgikit.testing.process import ProcessLimits, ServerProcess, ServerStartError
from wsgikit.testing.response import Response, ResponseReader

__all__ = [
    "Address",
    "ByteScript",
    "FakeClock",
    "ProcessLimits",
    "RawClient",
    "Response",
    "ResponseReader",
    "ServerProcess",
    "ServerStartError",
    "accepts",
    "free_port",
    "wait_until_accepts",
]
