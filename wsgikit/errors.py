"""The error tree of wsgikit.

    WsgikitError
        ConfigError       an option, file or command line is wrong; names the place and the remedy
        LoadError         `pkg.mod:app` cannot be loaded
        ProtocolError     a peer's bytes break a protocol; has a stable code and the status to answer with
            LimitError    they are well-formed but larger than a limit allows
        Disconnected      the peer has gone; nothing more can be sent to or read from it
        PeerTimeout       the peer took longer than a timeout allows
        UpstreamError     a server that we are the client of cannot be reached, or its answer cannot be used
            UpstreamTimeout   it took longer than a timeout allows

Parsers raise; one edge (the protocol shell) turns codes into answers.
"""

from __future__ import annotations


class WsgikitError(Exception):
    """Root of everything that wsgikit raises on purpose."""


class ConfigError(WsgikitError):
    """A wrong option. The message says file, key, value, what is allowed, and the nearest name."""


class LoadError(WsgikitError):
    """An app, factory or middleware cannot be loaded. `__cause__` is the original exception, when there is one."""


class ProtocolError(WsgikitError):
    """A peer broke the protocol.

    `code` is stable and machine readable ("bad-chunk-size"), `status` is the HTTP status a server answers with,
    `detail` is text for the log. The message never repeats the peer's bytes unescaped.
    """

    def __init__(self, code: str, status: int = 400, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.status = status
        self.detail = detail


class LimitError(ProtocolError):
    """The peer's message is larger than a limit allows; every limit has a code of its own."""


class Disconnected(WsgikitError):
    """The peer has gone, or the response was aborted: no more bytes can pass on this connection."""


class PeerTimeout(WsgikitError):
    """The peer took longer than a timeout allows. `phase` names the timeout ("body", "send")."""

    def __init__(self, phase: str, seconds: float) -> None:
        super().__init__(f"no progress in {phase} for {seconds:g} s")
        self.phase = phase
        self.seconds = seconds


class UpstreamError(WsgikitError):
    """A request to an upstream failed.

    `endpoint` is its URL, `phase` where it failed ("resolve", "connect", "tls", "send", "head", "body"), `detail` is
    text for the log, never for the client. `reused`: the connection had served a request before, so that the upstream
    may have closed it while the request was on its way. `answered`: a byte of the response had come. `status` is what a
    gateway answers with.
    """

    status = 502

    def __init__(self, endpoint: str, phase: str, detail: str, *, reused: bool = False, answered: bool = False) -> None:
        super().__init__(f"{endpoint}: {phase}: {detail}")
        self.endpoint = endpoint
        self.phase = phase
        self.detail = detail
        self.reused = reused
        self.answered = answered


class UpstreamTimeout(UpstreamError):
    """An upstream took longer than the timeout of a phase allows."""

    status = 504
