"""One request on one connection, up to the head of its response.

Owns the order of things: head, 100 (Continue) where it was asked for, body, and all the while an eye on the upstream: a
final response that comes early ends the upload (RFC 9112 9.3), a 103 is handed on. It must not know pools, nor what is
done about a failure; it says in which phase it happened.
"""

from __future__ import annotations

from time import monotonic
from typing import NoReturn

from wsgikit.client.connection import READ, Connection
from wsgikit.client.request import Movable, Outgoing, Request
from wsgikit.client.settings import ClientSettings
from wsgikit.errors import ProtocolError, UpstreamError, UpstreamTimeout
from wsgikit.wire.http11 import LAST_CHUNK, ResponseHead, ResponseHeads, chunk

# Interim responses before a final one. RFC 9110 15.2 sets no bound; a peer that never ends gets one.
MAX_INTERIM = 32
# Below this, copying head and body together costs less than a second system call.
_JOIN = 16 * 1024


class Exchange:
    """Send a request, read the head of its response. `buffer` is then what came behind the head."""

    has_end = False  # something goes behind a body whose length was told
    moves = True  # and nothing between its bytes

    __slots__ = (
        "_connection", "_continued", "_deadline", "_heads", "_interim", "_outgoing", "_request", "_settings", "_url",
        "answered", "buffer", "head", "head_by", "whole",
    )  # fmt: skip

    def __init__(
        self,
        url: str,
        connection: Connection,
        settings: ClientSettings,
        request: Request,
        outgoing: Outgoing,
        heads: ResponseHeads,
    ) -> None:
        self._url = url
        self._connection = connection
        self._settings = settings
        self._request = request
        self._outgoing = outgoing
        self._heads = heads
        self._deadline = request.deadline
        self.head_by = 0.0  # monotonic seconds at which the head has to be here, once `begin` has sent the request
        self._interim = 0
        self._continued = False
        self.buffer = b""
        self.answered = False
        self.whole = False  # the request was sent to its end
        self.head: ResponseHead | None = None

    def run(self) -> ResponseHead:
        """The head of the final response. UpstreamError, UpstreamTimeout; Disconnected when the watched peer has left;
        whatever the body raises. After an error the connection is of no more use."""
        self.begin()
        self.wait()
        if self.head is None:
            raise RuntimeError("waiting for a head ended without one")
        return self.head

    def begin(self) -> None:
        """Send the request. Errors as `run`; a head may have come meanwhile. Then `look`, or `wait`."""
        self._send()
        self.head_by = self._until(self._settings.first_byte_timeout)

    def look(self) -> bool:
        """Read what has come, without waiting. True: the final head is here. Errors as `run`."""
        if self.head is None:
            try:
                data = self._connection.receive_now()
            except OSError as error:
                self._fail("head", str(error))
            if data is None:
                if monotonic() >= self.head_by:
                    self._time_out("head", self._settings.first_byte_timeout)
            else:
                self._arrived(data)
        return self.head is not None

    # Sending

    def _send(self) -> None:
        outgoing = self._outgoing
        if outgoing.blocks is None:
            self.whole = self._push(outgoing.head)
        elif not outgoing.expects:
            self._send_body(outgoing.head)
        elif self._push(outgoing.head) and not self._answered_instead():
            self._send_body(b"")

    def _send_body(self, before: bytes) -> None:
        left = self._outgoing.length
        movable = self._movable()
        while True:
            moved = None if movable is None or before else movable.move(self._connection.fd)
            count, block = self._next_block() if moved is None else moved
            if not count:
                break
            if left is not None:
                left -= count
                if left < 0:
                    raise ValueError("the body is longer than its Content-Length (RFC 9110 8.6)")
            if not (self._push_block(before, self._framed(block)) if moved is None else self._push_rest(block)):
                return
            before = b""
            if (left != 0 or self.has_end) and self._connection.pending() and self._has_answered():
                return
        if left:
            raise ValueError(f"the body ended {left} bytes before its Content-Length (RFC 9110 8.6)")
        end = before + self._end()
        self.whole = self._push(end) if end else True

    def _next_block(self) -> tuple[int, bytes]:
        """Its length and the block; 0 at the end of the body."""
        for block in self._outgoing.blocks or ():
            if block:
                return len(block), block
        return 0, b""

    def _movable(self) -> Movable | None:
        """The body, if it can go to our socket by itself."""
        body = self._request.body
        as_it_is = self.moves and self._outgoing.length is not None and self._connection.pausable
        return body if as_it_is and isinstance(body, Movable) else None

    def _framed(self, block: bytes) -> bytes:
        """A block of the body as it goes over the wire."""
        return chunk(block) if self._outgoing.length is None else block

    def _end(self) -> bytes:
        """What goes behind the body."""
        return self._last_chunk() if self._outgoing.length is None else b""

    def _push_block(self, before: bytes, data: bytes) -> bool:
        if before and len(data) < _JOIN:
            return self._push(before + data)
        return (not before or self._push(before)) and self._push(data)

    def _push(self, data: bytes) -> bool:
        """Send all of `data`. False: the upstream has answered before it took it."""
        try:
            sent = self._connection.send(data)
        except OSError as error:
            return self._cut_off(error)
        return sent == len(data) or self._push_rest(memoryview(data)[sent:])

    def _push_rest(self, data: bytes | memoryview) -> bool:
        """As `_push`, for what the socket did not take at once."""
        connection, view = self._connection, memoryview(data)
        while view:
            events = connection.wait_writable(self._until(self._settings.idle_timeout))
            if not events:
                self._time_out("send", self._settings.idle_timeout)
            if events & READ and self._has_answered():
                return False
            try:
                view = view[connection.send(view) :]
            except OSError as error:
                return self._cut_off(error)
        return True

    def _cut_off(self, error: OSError) -> bool:
        """The upstream takes no more. It may have answered before: it has heard enough (RFC 9112 9.6)."""
        if not self._has_answered():
            self._fail("send", str(error))
        return False

    def _last_chunk(self) -> bytes:
        trailers = self._request.trailers() if self._request.trailers is not None else ()
        if not trailers:
            return LAST_CHUNK
        lines = b"".join(b"%b: %b\r\n" % field for field in trailers)
        if lines.count(b"\n") != len(trailers) or lines.count(b"\r") != len(trailers) or b"\0" in lines:
            raise ValueError("CR, LF or NUL in a trailer")
        return b"0\r\n%b\r\n" % lines

    def _answered_instead(self) -> bool:
        """Wait for 100 (Continue), for a while. True: a final response came instead."""
        deadline = self._until(self._settings.continue_timeout)
        while not self._continued:
            if not self._take(deadline):
                return False
            if self.head is not None:
                return True
        return False

    # Reading

    def wait(self) -> None:
        """Wait for the head, after `begin`. Errors as `run`."""
        while self.head is None:
            if not self._take(self.head_by):
                self._time_out("head", self._settings.first_byte_timeout)

    def _has_answered(self) -> bool:
        """Read what is there already. True: a final response is."""
        while self.head is None and self._connection.pending():
            if not self._take(monotonic()):
                break
        return self.head is not None

    def _take(self, deadline: float) -> bool:
        """Read once, and look for a final head. False: nothing came in time."""
        try:
            data = self._connection.receive(deadline)
        except OSError as error:
            self._fail("head", str(error))
        if data is None:
            return False
        self._arrived(data)
        return True

    def _arrived(self, data: bytes) -> None:
        """Add what has come, and look for a head in it; b"": the upstream has ended its side."""
        if not data:
            self._fail("head", "closed inside the head" if self.buffer else "closed without an answer")
        self.answered = True
        self._absorb(data)

    def _absorb(self, data: bytes) -> None:
        """Add what has come, and look for a head in it."""
        self.buffer = self.buffer + data if self.buffer else data
        # A head ends with LF: single bytes cost no look each.
        if b"\n" in data:
            self._parse()

    def _parse(self) -> None:
        try:
            while self.buffer:
                head = self._heads.parse(self.buffer)
                if head is None:
                    return
                self.buffer = self.buffer[head.end :]
                if not head.interim:
                    self._judge(head)
                    return
                self._note_interim(head)
        except ProtocolError as error:
            self._fail("head", str(error))

    def _judge(self, head: ResponseHead) -> None:
        if head.status == 101 and not self._outgoing.upgrades:
            raise ProtocolError("unasked-upgrade", 502, "101 to a request without Upgrade")
        self.head = head

    def _note_interim(self, head: ResponseHead) -> None:
        self._interim += 1
        if self._interim > MAX_INTERIM:
            raise ProtocolError("too-many-interim-responses", 502, f"more than {MAX_INTERIM}")
        self._continued = self._continued or head.status == 100
        if head.status == 103 and self._request.early is not None:
            self._request.early(head.fields)

    # Time and failure

    def _until(self, seconds: float) -> float:
        end = monotonic() + seconds
        return min(end, self._deadline) if self._deadline else end

    def _time_out(self, phase: str, seconds: float) -> NoReturn:
        over = bool(self._deadline) and monotonic() >= self._deadline
        detail = "the total time is over" if over else f"nothing within {seconds:g} s"
        raise UpstreamTimeout(self._url, phase, detail, reused=self._connection.uses > 0, answered=self.answered)

    def _fail(self, phase: str, detail: str) -> NoReturn:
        reused = self._connection.uses > 0
        raise UpstreamError(self._url, phase, detail, reused=reused, answered=self.answered)
