"""The error log: the logger `wsgikit` and what is below it, to standard error or a file.

Owns the handler and the form of a line. `wsgikit.error` is the server's, `wsgikit.slow` the slow log's,
`wsgikit.access` the access log's when it goes through `logging`; middleware has its own names below `wsgikit`.

An app configures `logging` while it is imported, and `logging.config` by default disables every logger that exists and
closes every handler. So the handler survives `close()`, and `revive()` is to be called once the app is loaded.
"""

from __future__ import annotations

import logging
import time

from wsgikit.observe.linefile import LineFile
from wsgikit.observe.settings import LogSettings

ROOT = "wsgikit"

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}


class LineFormatter(logging.Formatter):
    """ "[2026-11-20 06:54:31 +0000] [PID] [ERROR] text", as Gunicorn writes it.

    Whatever follows a newline in a record (a traceback, or text that somebody smuggled into a message) is indented, so
    that a line that starts with "[" is always the server's own; other controls are written as \\xhh.
    """

    def __init__(self) -> None:
        super().__init__("[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(record.created))

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).translate(_CONTROLS).replace("\n", "\n    ")


class LineHandler(logging.Handler):
    """Writes each record by one write. Never raises: a log that cannot be written must not end a request."""

    def __init__(self, file: LineFile) -> None:
        super().__init__()
        self.file = file
        self.setFormatter(LineFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception as error:  # a message that does not fit its arguments, an argument whose str() fails
            text = f"[{record.levelname}] cannot format {record.msg!r:.200}: {type(error).__name__}"
        self.file.write(f"{text}\n".encode("utf-8", "backslashreplace"))


def set_up(settings: LogSettings) -> None:
    """Send the records of `wsgikit` at `log_level` and above to `error_logfile`.

    Replaces what an earlier call set up. Raises ConfigError when the file cannot be opened. Records do not reach the
    handlers of the root logger: an app that configures those does not get ours twice.
    """
    handler = LineHandler(LineFile(settings.error_logfile, 2))
    logger = logging.getLogger(ROOT)
    tear_down()
    logger.addHandler(handler)
    logger.setLevel(settings.log_level.upper())
    logger.propagate = False
    revive()


def tear_down() -> None:
    """Undo `set_up`."""
    logger = logging.getLogger(ROOT)
    for handler in [handler for handler in logger.handlers if isinstance(handler, LineHandler)]:
        logger.removeHandler(handler)
        handler.file.close()
    logger.propagate = True


def revive() -> None:
    """Enable our loggers again after an app's `logging.config` has disabled those it did not name."""
    for name in [ROOT, *logging.root.manager.loggerDict]:
        if name == ROOT or name.startswith(f"{ROOT}."):
            logging.getLogger(name).disabled = False
