"""A socket that exists only on paper: a list of byte chunks goes in, what was sent comes out.

For tests of code that talks to a socket, without a kernel, a thread or a clock.
"""

from __future__ import annotations

import socket as sockets
from collections import deque
from collections.abc import Iterable
from typing import Self

Step = bytes | BaseException | type[BaseException]
Buffer = bytes | bytearray | memoryview


class ByteScript:
    """Stands where a connected socket would.

    `chunks` are what successive recv() calls see, never joined: a chunk longer than the call asked for is cut, the
    rest comes next. An exception (instance or class) in the list is raised at its turn; b"" is the peer's end of
    stream. After the last chunk recv() returns b"" again and again, or, with `open_end`, raises BlockingIOError as a
    non-blocking socket with nothing to read does.

    `takes` says how many bytes each send() accepts; an exception in it is raised. When it has run out, all is taken.

        script = ByteScript([b"GET / HT", b"TP/1.1\\r\\n\\r\\n"])
        script.recv(4096)       # b"GET / HT"
        script.sent             # everything that was sent to the peer
    """

    def __init__(
        self, chunks: Iterable[Step] = (), *, takes: Iterable[int | BaseException] = (), open_end: bool = False
    ) -> None:
        self._incoming: deque[Step] = deque(chunks)
        self._takes = deque(takes)
        self._open_end = open_end
        self.sent = bytearray()
        self.sends: list[bytes] = []
        self.closed = False
        self.shut: list[int] = []
        self.timeout: float | None = None
        self.options: dict[tuple[int, int], int | bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<ByteScript {state}, {len(self._incoming)} to receive, {len(self.sent)} sent>"

    def add(self, *chunks: Step) -> None:
        """The peer sends more."""
        self._incoming.extend(chunks)

    @property
    def exhausted(self) -> bool:
        """Whether everything in the script has been received."""
        return not self._incoming

    def recv(self, limit: int, flags: int = 0) -> bytes:
        """The next chunk or its first `limit` bytes; MSG_PEEK leaves it in place."""
        self._check_open()
        if not self._incoming:
            if self._open_end:
                raise BlockingIOError(11, "the script has no more bytes")
            return b""
        step = self._incoming.popleft()
        if not isinstance(step, bytes):
            raise step
        data, rest = step[:limit], step[limit:]
        if flags & sockets.MSG_PEEK:
            self._incoming.appendleft(step)
        elif rest:
            self._incoming.appendleft(rest)
        return data

    def recv_into(self, buffer: bytearray | memoryview, limit: int = 0, flags: int = 0) -> int:
        """As socket.recv_into."""
        data = self.recv(limit or len(buffer), flags)
        buffer[: len(data)] = data
        return len(data)

    def send(self, data: Buffer, flags: int = 0) -> int:
        """Takes as many bytes as `takes` allows for this call."""
        self._check_open()
        view = bytes(data)
        take = self._takes.popleft() if self._takes else len(view)
        if isinstance(take, BaseException):
            raise take
        part = view[:take]
        self.sends.append(part)
        self.sent += part
        return len(part)

    def sendall(self, data: Buffer, flags: int = 0) -> None:
        """As socket.sendall; every piece that `takes` cuts is an entry of `sends`."""
        view = bytes(data)
        while view:
            view = view[self.send(view) :]

    def sendmsg(self, buffers: Iterable[Buffer], ancillary: object = (), flags: int = 0) -> int:
        """As socket.sendmsg, without ancillary data."""
        return self.send(b"".join(bytes(buffer) for buffer in buffers))

    def shutdown(self, how: int) -> None:
        """Records `how` in `shut`."""
        self._check_open()
        self.shut.append(how)

    def close(self) -> None:
        """Later calls raise OSError, as on a closed socket."""
        self.closed = True

    def settimeout(self, seconds: float | None) -> None:
        self.timeout = seconds

    def gettimeout(self) -> float | None:
        return self.timeout

    def setblocking(self, flag: bool) -> None:
        self.timeout = None if flag else 0.0

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        self.options[level, option] = value

    def fileno(self) -> int:
        """-1: there is no descriptor, so nothing can poll it by mistake."""
        return -1

    def getpeername(self) -> tuple[str, int]:
        return ("192.0.2.1", 40000)  # TEST-NET-1, RFC 5737

    def getsockname(self) -> tuple[str, int]:
        return ("192.0.2.80", 80)

    def _check_open(self) -> None:
        if self.closed:
            raise OSError(9, "the socket is closed")
