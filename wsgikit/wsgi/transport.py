"""What the WSGI core asks of a connection. Implemented by the worker's connection and by byte-script fakes in tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, Protocol


class Transport(Protocol):
    """The sending half of a connection, as a response sees it.

    All methods raise `Disconnected` once the peer has gone or the connection was aborted.
    """

    def send(self, data: bytes) -> None:
        """Send `data`, at once as far as the peer takes it; the rest waits in the connection's output queue."""

    def send_parts(self, parts: Sequence[bytes]) -> None:
        """As `send`, for several blocks in one go and without joining large ones."""

    def send_file(self, file: BinaryIO, offset: int, count: int) -> None:
        """Send `count` bytes of a regular file from `offset`. The caller may close `file` as soon as this returns."""

    def abort(self) -> None:
        """Reset the connection, so that no client takes what was sent for a complete response. Never raises."""


class Bypass(Protocol):
    """Sends from socket to socket, where that costs less than reading and sending."""

    def send_from(self, source: int, most: int) -> int | None:
        """Send what has come on a socket, `most` bytes at most: how many, 0 at its end, None when nothing has.

        Raises OSError for what is wrong with `source`, and Disconnected as `Transport` does.
        """
