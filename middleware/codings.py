"""Content codings: gzip, zstd and br as streams that can be flushed, and which of them a client takes.

Owns the libraries (zlib of Python; `compression.zstd` of Python 3.14 or the package zstandard; brotli) and the choice
by Accept-Encoding (RFC 9110 12.5.3). Must not know headers of responses nor WSGI.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from wsgikit.errors import ConfigError

__all__ = ["CODINGS", "Encoder", "available", "choose", "encoder", "present"]


class Encoder(Protocol):
    """A compressor: `flush()` gives all that is needed to decode what went in so far, `finish()` ends the stream."""

    def feed(self, data: bytes) -> bytes: ...
    def flush(self) -> bytes: ...
    def finish(self) -> bytes: ...


class _Gzip:
    def __init__(self, level: int) -> None:
        import zlib

        # 16 + 15: gzip container, largest window; its time stamp is 0, so equal bodies give equal bytes
        self._stream = zlib.compressobj(level, zlib.DEFLATED, 31)
        self.feed = self._stream.compress
        self._sync = zlib.Z_SYNC_FLUSH

    def flush(self) -> bytes:
        return self._stream.flush(self._sync)

    def finish(self) -> bytes:
        return self._stream.flush()


class _Zstd:
    def __init__(self, level: int) -> None:
        try:
            from compression import zstd  # type: ignore[import-not-found,unused-ignore]

            self._stream: Any = zstd.ZstdCompressor(level=level)
            self._block, self._end = self._stream.FLUSH_BLOCK, self._stream.FLUSH_FRAME
        except ImportError:
            import zstandard

            self._stream = zstandard.ZstdCompressor(level=level).compressobj()
            self._block, self._end = zstandard.COMPRESSOBJ_FLUSH_BLOCK, zstandard.COMPRESSOBJ_FLUSH_FINISH
        self.feed = self._stream.compress

    def flush(self) -> bytes:
        return self._stream.flush(self._block)  # type: ignore[no-any-return]

    def finish(self) -> bytes:
        return self._stream.flush(self._end)  # type: ignore[no-any-return]


class _Brotli:
    def __init__(self, level: int) -> None:
        import brotli

        self._stream = brotli.Compressor(quality=level)
        self.feed = self._stream.process
        self.flush = self._stream.flush
        self.finish = self._stream.finish


class Coding:
    """One coding: its name in HTTP, levels, and what to install where it is missing."""

    def __init__(self, name: str, make: Callable[[int], Encoder], levels: range, default: int, install: str) -> None:
        self.name = name
        self.make = make
        self.levels = levels
        self.default = default
        self.install = install


# Default levels: gzip 6 is zlib's own; zstd 3 and br 4 take about gzip 6's time for a smaller result.
CODINGS = {
    "zstd": Coding("zstd", _Zstd, range(1, 20), 3, "zstandard"),
    "br": Coding("br", _Brotli, range(12), 4, "brotli"),
    "gzip": Coding("gzip", _Gzip, range(1, 10), 6, ""),
}


def present(name: str) -> bool:
    """Whether this Python can encode so."""
    try:
        CODINGS[name].make(CODINGS[name].default)
    except (ImportError, AttributeError):  # a folder of that name on the path can be imported, too
        return False
    return True


def available(names: Sequence[str] | None, option: str) -> tuple[str, ...]:
    """The codings to offer, best first. None: all this Python has. ConfigError: one was asked for that is missing."""
    if names is None:
        return tuple(name for name in CODINGS if present(name))
    for name in names:
        if name not in CODINGS:
            raise ConfigError(f"{option} has {name!r} in it: allowed are {', '.join(CODINGS)}")
        if not present(name):
            raise ConfigError(
                f"{option} has {name!r} in it, which needs a library: pip install {CODINGS[name].install}"
            )
    return tuple(names)


def encoder(name: str, level: int | None) -> Encoder:
    coding = CODINGS[name]
    return coding.make(coding.default if level is None else level)


def choose(accept: str, offered: Sequence[str]) -> str:
    """The coding for an Accept-Encoding value: highest quality, then our order; "" for none (identity)."""
    from werkzeug.http import parse_accept_header

    accepted = parse_accept_header(accept)
    qualities = {name: _quality(accepted, name) for name in offered}
    best = max(qualities.values(), default=0.0)
    # a client may like plain bodies better: "gzip;q=0.1, identity"; without a word about it, identity is the fallback
    plain = next((quality for value, quality in accepted if value.lower() == "identity"), 0.0)
    if best <= 0 or plain > best:
        return ""
    return next(name for name in offered if qualities[name] == best)


def _quality(accepted: Any, name: str) -> float:
    aliases = (name, "x-gzip") if name == "gzip" else (name,)
    star = 0.0
    for value, quality in accepted:
        if value.lower() in aliases:
            return float(quality)
        if value == "*":
            star = float(quality)
    return star
