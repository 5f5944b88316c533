"""One CGI program at work: its pipes, its time, and its end.

Owns a process group. Everything happens in the thread of the request: what the client sends goes in as the program
takes it, what the program writes comes out as it arrives, and what it says on standard error goes to the log. It must
not know WSGI responses.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

from wsgikit.errors import Disconnected, PeerTimeout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger("wsgikit.cgi")

_BLOCK = 64 * 1024
# No wait is longer: an exception by which a server interrupts a thread does not reach it inside a system call.
_SLICE = 1.0
_LEFT = getattr(select, "POLLRDHUP", 0)
_ENDED = select.POLLHUP | select.POLLERR | select.POLLNVAL


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLimits:
    """`timeout`: seconds without output; `lifetime`: seconds for all of it; `grace`: from TERM to KILL; `stderr`: bytes
    of it that are logged; `resources`: limits of the process by the numbers of the `resource` module."""

    timeout: float = 25.0
    lifetime: float = 300.0
    grace: float = 2.0
    stderr: int = 65536
    resources: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))


class Program:
    """A running program. Raises OSError when it cannot be started. Call `close` in every case.

    `body`: blocks for its standard input; `watch`: a descriptor whose peer is the client, -1 for none.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[bytes, bytes],
        body: Iterator[bytes],
        watch: int,
        limits: ProcessLimits,
    ) -> None:
        self.name = os.path.basename(command[-1])
        self._limits = limits
        self._body: Iterator[bytes] | None = body
        self._waiting = memoryview(b"")
        self._left = limits.stderr
        self._line = b""
        self._began = self._heard = monotonic()
        # A group of its own, so that what it has started ends with it. No shell: the command is a list.
        self._process = subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
            env=dict(environment), cwd=os.path.dirname(command[-1]), start_new_session=True,
        )  # fmt: skip
        self._stdin, self._stdout, self._stderr = (
            self._pipe(pipe) for pipe in (self._process.stdin, self._process.stdout, self._process.stderr)
        )
        self._poll = select.poll()
        self._poll.register(self._stdout, select.POLLIN)
        self._poll.register(self._stderr, select.POLLIN)
        self._poll.register(self._stdin, select.POLLOUT)
        self._watch = watch
        if watch >= 0:
            self._poll.register(watch, _LEFT)
        self._limit()

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> int:
        if pipe is None:
            raise RuntimeError("subprocess made no pipe")
        os.set_blocking(pipe.fileno(), False)
        return pipe.fileno()

    def _limit(self) -> None:
        """Set the limits on the process once it is there: code between fork and exec is unsafe beside threads."""
        if not self._limits.resources:
            return
        import resource

        for number, limit in self._limits.resources.items():
            try:
                resource.prlimit(self._process.pid, number, (limit, limit))
            except ProcessLookupError:
                return  # it has ended already

    def read(self, patience: float) -> bytes | None:
        """The next output; b"" at its end, None after `patience` seconds without any.

        PeerTimeout: the program takes too long; Disconnected: the client has left; errors of the body come through.
        """
        until = monotonic() + patience
        while True:
            now = monotonic()
            limits = self._limits
            silent, spent = limits.timeout - (now - self._heard), limits.lifetime - (now - self._began)
            if silent <= 0:
                raise PeerTimeout("output", limits.timeout)
            if spent <= 0:
                raise PeerTimeout("lifetime", limits.lifetime)
            if now >= until:
                return None
            for fd, event in self._poll.poll(min(_SLICE, until - now, silent, spent) * 1000 + 1):
                if fd == self._watch:
                    raise Disconnected("the client has left")
                if fd == self._stdout:
                    block = self._output()
                    if block is not None:
                        return block
                elif fd == self._stderr:
                    self._hear()
                elif fd == self._stdin:
                    self._feed(event)

    def _output(self) -> bytes | None:
        self._heard = monotonic()
        try:
            return os.read(self._stdout, _BLOCK)
        except BlockingIOError:
            return None

    def _feed(self, event: int) -> None:
        """Write what the program takes. One that does not want its input is not given it."""
        if event & _ENDED:
            self._end_input()
            return
        while not self._waiting:
            block = next(self._body, None) if self._body is not None else None
            self._heard = monotonic()  # waiting for the client is no fault of the program's
            if block is None:
                self._end_input()
                return
            self._waiting = memoryview(block)
        try:
            self._waiting = self._waiting[os.write(self._stdin, self._waiting) :]
        except BlockingIOError:
            pass
        except OSError:
            self._end_input()

    def _end_input(self) -> None:
        self._poll.unregister(self._stdin)
        self._body, self._waiting = None, memoryview(b"")
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _hear(self) -> None:
        data = os.read(self._stderr, _BLOCK)
        if not data:
            self._poll.unregister(self._stderr)
            return
        self._line += data[: max(0, self._left)]
        self._left -= len(data)
        *lines, self._line = self._line.split(b"\n")
        for line in lines:
            self._say(line)

    def _say(self, line: bytes) -> None:
        if line.strip(b" \t\r"):
            log.warning("%s: %s", self.name, ascii(line.decode("utf-8", "backslashreplace"))[1:-1])

    def close(self) -> None:
        """End the program, if it has not ended, and let everything go. May be called twice."""
        process = self._process
        if process.returncode is None:
            self._end()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        line, self._line = self._line, b""
        self._say(line)

    def finish(self) -> None:
        """All of the output is here: take what is left on standard error, and give the program its grace to end."""
        deadline = monotonic() + self._limits.grace
        poll = select.poll()
        poll.register(self._stderr, select.POLLIN)
        while monotonic() < deadline and poll.poll(max(0.0, deadline - monotonic()) * 1000):
            data = os.read(self._stderr, _BLOCK)
            if not data:
                break
            self._line += data[: max(0, self._left)]
            self._left -= len(data)
        for line in self._line.split(b"\n"):
            self._say(line)
        self._line = b""
        self._wait(max(0.0, deadline - monotonic()))
        if self._process.returncode:
            log.warning("%s: ended with status %d", self.name, self._process.returncode)

    def _end(self) -> None:
        self._signal(signal.SIGTERM)
        if not self._wait(self._limits.grace):
            log.error("%s: did not end within %g s and was killed", self.name, self._limits.grace)
        self._signal(signal.SIGKILL)  # also what it has started and left behind
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    def _wait(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
