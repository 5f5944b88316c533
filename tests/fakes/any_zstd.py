"""The coding zstd as this Python has it: its own since 3.14, else the package zstandard."""

from __future__ import annotations

import sys
from typing import Any

import pytest


def zstd_decompressor() -> Any:
    """Has decompress(data), for data that comes in pieces. Skips the test where there is neither."""
    if sys.version_info >= (3, 14):
        from compression.zstd import ZstdDecompressor

        return ZstdDecompressor()
    zstandard = pytest.importorskip("zstandard", reason="pip install zstandard")
    return zstandard.ZstdDecompressor().decompressobj()


def zstd_compressed(data: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression.zstd import compress

        return compress(data)
    zstandard = pytest.importorskip("zstandard", reason="pip install zstandard")
    return bytes(zstandard.ZstdCompressor().compress(data))
