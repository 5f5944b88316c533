"""Thin server shells: one file a wire, between `wire` (bytes and values) and `wsgi` (the app).

A protocol object belongs to one connection. It is fed bytes, says what the connection must do next (an `Action`), and
runs the app when told to. It must not know sockets, pollers or threads.
"""

from __future__ import annotations

from typing import Final


class Action:
    """What a connection does next. Plain integers: comparing enum members costs on every request."""

    READ: Final = 0  # wait for more bytes from the peer
    RUN: Final = 1  # a request is complete (or its body is to be streamed): call run() in a thread
    NEXT: Final = 2  # a response is done and bytes of a further request are here already: call advance()
    LINGER: Final = 3  # close, but read on for a while so that the peer gets the answer (RFC 9112 9.6)
    CLOSE: Final = 4  # close now: the peer has everything, or is gone
    TAKEN: Final = 5  # the app took the socket over and has finished with it
    PAUSE: Final = 6  # the app waits for a descriptor (`wsgikit.pause`): call resume() when it is ready
