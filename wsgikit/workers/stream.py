"""Non-blocking byte streams: a plain socket here, a TLS one in `tls_stream`, behind the same calls.

Owns the translation of "not now" into values: None for nothing to read yet, 0 for nothing taken yet. What is broken
raises OSError. It must not know what the bytes mean.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Protocol

RECEIVE = 64 * 1024
# Of a body: a megabyte in sixteen pieces costs a third more CPU than in two or three.
RECEIVE_BODY = 512 * 1024
_FILE_CHUNK = 128 * 1024
_SHORTER = "the file became shorter while it was sent"


class Stream(Protocol):
    @property
    def sock(self) -> socket.socket: ...

    def receive(self, most: int = RECEIVE) -> bytes | None:
        """What has arrived, `most` bytes at most; b"" at the end, None when nothing has."""

    def send(self, data: bytes | memoryview) -> int: ...

    def send_parts(self, parts: list[bytes]) -> int: ...

    def send_file(self, fd: int, offset: int, count: int) -> int: ...

    def wants(self) -> int:
        """What a call that could not go on waits for, when it is not its own direction (TLS renegotiates both ways)."""

    def pending(self) -> bool:
        """Whether bytes are here that the poller cannot see."""

    def goodbye(self) -> None:
        """Tell the peer that nothing more comes, where the stream has words for it. Never raises, never waits."""


class PlainStream:
    """A TCP or Unix socket."""

    __slots__ = ("sock",)

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def receive(self, most: int = RECEIVE) -> bytes | None:
        try:
            return self.sock.recv(most)
        except BlockingIOError:
            return None

    def send(self, data: bytes | memoryview) -> int:
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0

    def send_parts(self, parts: list[bytes]) -> int:
        try:
            return self.sock.sendmsg(parts)
        except BlockingIOError:
            return 0

    def send_file(self, fd: int, offset: int, count: int) -> int:
        try:
            sent = os.sendfile(self.sock.fileno(), fd, offset, count)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS):
                raise
            return self.send(read_part(fd, offset, count))  # a file system that cannot, such as some FUSE mounts
        if sent == 0:
            raise OSError(errno.EIO, _SHORTER)
        return sent

    def wants(self) -> int:
        return 0

    def pending(self) -> bool:
        return False

    def goodbye(self) -> None:
        pass


def read_part(fd: int, offset: int, count: int) -> bytes:
    """A part of a file, not more than is worth holding in memory. Raises OSError when the file has become shorter."""
    data = os.pread(fd, min(count, _FILE_CHUNK), offset)
    if not data:
        raise OSError(errno.EIO, _SHORTER)
    return data
