"""The access log and the slow log: what a worker calls with the record of each request.

Owns the choice of sink and the promise that logging never fails a request. Must not know how a request was served.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from wsgikit.observe.escape import clip, escape
from wsgikit.observe.linefile import PIPE_FIELD, LineFile
from wsgikit.observe.logformat import compile_format, path_of, request_line, status_of
from wsgikit.observe.record import Access
from wsgikit.observe.settings import LogSettings

_error = logging.getLogger("wsgikit.error")
_access = logging.getLogger("wsgikit.access")
_slow = logging.getLogger("wsgikit.slow")

SLOW_FIELD = 500  # characters of a target in the slow log


def access_logger(settings: LogSettings) -> AccessLog | None:
    """What to call with every Access record; None when neither the access log nor the slow log is on.

    Raises ConfigError when the file cannot be opened or the format is wrong. Make it in the worker, after the fork or
    before: the file is appended to line by line.
    """
    if settings.access_logfile == "off" and not settings.slow_log:
        return None
    return AccessLog(settings)


class AccessLog:
    """Callable with an Access record; raises nothing. `close()` closes the file."""

    __slots__ = ("_broken", "_file", "_format", "_slow", "_write")

    def __init__(self, settings: LogSettings) -> None:
        limit = settings.access_log_field_limit
        self._file: LineFile | None = None
        self._write: Callable[[bytes], None] | None = None
        self._slow = settings.slow_log or float("inf")
        self._broken = False
        if settings.access_logfile == "logging":
            self._write = _log_line
        elif settings.access_logfile != "off":
            self._file = LineFile(settings.access_logfile, 1, _error.error)
            self._write = self._file.write
            limit = limit or (0 if self._file.regular else PIPE_FIELD)
        self._format = compile_format(settings.access_logformat, limit)

    def __call__(self, record: Access) -> None:
        try:
            if self._write is not None:
                self._write(self._format(record))
            if record.wait + record.body + record.app + record.send >= self._slow:
                _slow.warning("%s", slow_line(record))
        except Exception:
            if not self._broken:  # once: what is wrong with one record is likely to be wrong with the next
                self._broken = True
                _error.exception("the access log cannot format a request; further ones are not reported")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _log_line(line: bytes) -> None:
    _access.info("%s", line[:-1].decode("ascii"))


def slow_line(record: Access) -> str:
    """One line of the slow log: the time, the request, and where the time went."""
    phases = ", ".join(f"{name} {getattr(record, name) * 1000:.1f} ms" for name in ("wait", "body", "app", "send"))
    known = ("mount", "route", "request_id", "user", "upstream")
    facts = "".join(f" {name}={_short(str(record.facts[name]), ' ')}" for name in known if record.facts.get(name))
    request = request_line(record) if len(record.target) <= SLOW_FIELD else f"{record.method} {path_of(record)}"
    where = f"from {_short(record.remote or '-')} in {_short(record.thread)}"
    return f"slow: {record.total:.3f} s for {_short(request)} -> {status_of(record)} {where} ({phases}){facts}"


def _short(value: str, also: str = "") -> str:
    return clip(escape(value, also), SLOW_FIELD)
