"""Times as logs write them, and the process number: each made once a second or once a process, not once a line."""

from __future__ import annotations

import os
import time

getpid = os.getpid

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # whatever the locale

# (second, text): one tuple, replaced as a whole, so that threads need no lock
_common: tuple[int, str] = (-1, "")
_iso: tuple[int, str] = (-1, "")


def common(seconds: float) -> str:
    """ "20/Nov/2026:06:56:39 +0100", local time, as in the common log format of NCSA."""
    global _common
    second = int(seconds)
    known, line = _common
    if known != second:
        local = time.localtime(second)
        line = (
            f"{local.tm_mday:02d}/{MONTHS[local.tm_mon - 1]}/{local.tm_year}:"
            f"{local.tm_hour:02d}:{local.tm_min:02d}:{local.tm_sec:02d} {_offset(local.tm_gmtoff)}"
        )
        _common = (second, line)
    return line


def _offset(seconds: int) -> str:
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02d}{minutes % 60:02d}"


def iso(seconds: float) -> str:
    """ "2026-11-20T05:56:39.123Z"."""
    global _iso
    second = int(seconds)
    known, line = _iso
    if known != second:
        line = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _iso = (second, line)
    return f"{line}.{int((seconds - second) * 1000):03d}Z"
