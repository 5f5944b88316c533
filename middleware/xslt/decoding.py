"""Content codings undone, under a limit of size and of ratio.

Owns gzip, deflate, br and zstd as an app may have applied them (RFC 9110 8.4.1). A small body that unfolds into
gigabytes is stopped at the limit, not after it. Must not know what is in the bodies.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from io import BytesIO

from wsgikit.middleware.xslt.failures import SourceError, TooLarge

__all__ = ["acceptable", "decodable", "decode"]

# Small bodies may well unfold a hundredfold: the ratio is for what is over this
_FREE = 1 << 16


def _is_installed(name: str) -> bool:
    spec = find_spec(name)
    return spec is not None and spec.origin is not None  # a folder of that name on the path has none


def _libraries() -> frozenset[str]:
    found = {"identity", "gzip", "x-gzip", "deflate"}
    if _is_installed("brotli"):
        import brotli

        # brotli below 1.2 cannot be told to stop
        if hasattr(brotli.Decompressor, "can_accept_more_data"):
            found.add("br")
    if _is_installed("_zstd") or _is_installed("zstandard"):
        found.add("zstd")
    return frozenset(found)


_KNOWN = _libraries()


def decodable(codings: Sequence[str]) -> bool:
    """Whether all of these can be undone here."""
    return all(coding in _KNOWN for coding in codings)


def acceptable(field: str) -> str | None:
    """An Accept-Encoding without the codings that cannot be undone here; None: it has none of them."""
    members = [member.strip(" \t") for member in field.split(",") if member.strip(" \t")]
    names = [member.partition(";")[0].strip(" \t").lower() for member in members]
    if all(name in _KNOWN for name in names):
        return None
    kept = [member for member, name in zip(members, names, strict=True) if name in _KNOWN]
    return ", ".join(kept) or "identity"


def decode(data: bytes, codings: Sequence[str], limit: int, ratio: int) -> bytes:
    """The body before its codings, the last applied first. TooLarge, SourceError."""
    for coding in reversed(codings):
        if coding == "identity":
            continue
        most = min(limit, max(_FREE, ratio * len(data)))
        option = "max_input" if most == limit else "max_ratio"
        try:
            data = _DECODERS[coding](data, most + 1)
        except (zlib.error, ValueError, EOFError) as error:
            raise SourceError(f"the {coding} coding of the app's answer is broken: {error}") from None
        if len(data) > most:
            raise TooLarge(option, f"decoded, the source is larger than {most} bytes ({option})")
    return data


def _gzip(data: bytes, most: int) -> bytes:
    return _zlib(data, most, 31)


def _deflate(data: bytes, most: int) -> bytes:
    # RFC 9110 8.4.1.2: some send the bare stream instead of the zlib container
    return _zlib(data, most, 15 if data[:1] and data[0] & 0x0F == 8 else -15)


def _zlib(data: bytes, most: int, window: int) -> bytes:
    pieces = []
    size = 0
    while data and size < most:
        stream = zlib.decompressobj(window)
        piece = stream.decompress(data, most - size)
        pieces.append(piece)
        size += len(piece)
        if size >= most:
            break
        if not stream.eof:
            raise EOFError("it ends too early")
        data = stream.unused_data  # gzip may have several members (RFC 1952 2.2)
    return b"".join(pieces)


def _brotli(data: bytes, most: int) -> bytes:
    import brotli

    stream = brotli.Decompressor()
    pieces = []
    size = 0
    try:
        while not stream.is_finished() and size < most:
            piece = stream.process(data, output_buffer_limit=most - size)
            if not piece and not data and stream.can_accept_more_data():
                raise EOFError("it ends too early")
            data = b""
            pieces.append(piece)
            size += len(piece)
    except brotli.error as error:
        raise ValueError(str(error)) from None
    return b"".join(pieces)


# log2 of what a frame may ask of our memory: 128 MiB (RFC 8878 3.1.1.1.2)
_WINDOW = 27


def _zstd(data: bytes, most: int) -> bytes:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:  # Python below 3.14
        return _zstandard(data, most)
    try:
        with zstd.ZstdFile(BytesIO(data), options={zstd.DecompressionParameter.window_log_max: _WINDOW}) as file:
            found: bytes = file.read(most)
            return found
    except zstd.ZstdError as error:
        raise ValueError(str(error)) from None


def _zstandard(data: bytes, most: int) -> bytes:
    import zstandard

    frames = zstandard.ZstdDecompressor(max_window_size=1 << _WINDOW)
    pieces = []
    size = at = 0
    try:
        while at < len(data) and size < most:  # a body may have several
            stream = frames.decompressobj()
            while not stream.eof and size < most:
                if at >= len(data):
                    raise EOFError("it ends too early")
                # It cannot be told to stop, and one byte may become 32 KiB (RFC 8878 3.1.1.2.2).
                part = data[at : at + max(64, (most - size) >> 15)]
                piece = stream.decompress(part)
                at += len(part) - len(stream.unused_data)
                pieces.append(piece)
                size += len(piece)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None
    return b"".join(pieces)


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
