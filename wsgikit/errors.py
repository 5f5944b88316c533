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

Parsers raise; one edge (the protocol shell) turns codes into answers. `Mistakes` and `all_of` are for whoever reads
options: a person is told of all that are wrong, not of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


class WsgikitError(Exception):
    """Root of everything that wsgikit raises on purpose."""


class ConfigError(WsgikitError):
    """A wrong option. The message says file, key, value, what is allowed, and the nearest name.

    `way`: the keys that lead to it, as far as they are known to who raised: `("health", "interval")`. `several`: the
    single mistakes where it stands for more than one, else itself alone.
    """

    def __init__(self, text: str = "", way: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.way = way

    @property
    def several(self) -> tuple[ConfigError, ...]:
        """Each mistake by itself."""
        return (self,)

    def each(self, change: Callable[[ConfigError], ConfigError]) -> ConfigError:
        """The same, with every single mistake put as `change` says. `__cause__` is kept."""
        changed = change(self)
        changed.__cause__ = self.__cause__
        return changed


class ConfigErrors(ConfigError):
    """Several mistakes, a line each."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self._single = tuple(single for error in errors for single in error.several)
        super().__init__("\n".join(map(str, self._single)))

    @property
    def several(self) -> tuple[ConfigError, ...]:
        return self._single

    def each(self, change: Callable[[ConfigError], ConfigError]) -> ConfigError:
        return ConfigErrors(single.each(change) for single in self._single)


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


class Mistakes:
    """Collects the ConfigErrors of `with` blocks that do not need one another; `stop()` raises them as one."""

    def __init__(self) -> None:
        self.found: list[ConfigError] = []

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, ConfigError):
            return False
        self.found.append(error)
        return True

    def stop(self) -> None:
        """Raise what was found, the same words once; return when there is nothing."""
        found = list({str(error): error for error in self.found}.values())
        if len(found) == 1:
            raise found[0]
        if found:
            raise ConfigErrors(found)


def all_of(**makers: Callable[[], Any]) -> dict[str, Any]:
    """What each of them makes, by key. All are called; the ConfigErrors of those that fail say the key in `way`."""
    mistakes = Mistakes()
    made = {}
    for key, make in makers.items():
        with mistakes:
            try:
                made[key] = make()
            except ConfigError as error:
                for single in error.several:
                    single.way = (key, *single.way)
                raise
    mistakes.stop()
    return made
