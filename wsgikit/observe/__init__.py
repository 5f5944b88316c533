"""What the server tells about itself: access log, slow log, error log, and the analysis of logs.

Owns records, formats, files and histograms. Must not know sockets, workers or the master: they call in. Each function
here imports what it needs, so that a server with its access log off does not pay for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgikit.observe.accesslog import AccessLog
    from wsgikit.observe.settings import LogSettings


def access_logger(settings: LogSettings) -> AccessLog | None:
    """What to call with the `Access` record of each request; None when access log and slow log are off.

    Raises ConfigError for a file that cannot be opened or a wrong format.
    """
    from wsgikit.observe import accesslog

    return accesslog.access_logger(settings)


def set_up_error_log(settings: LogSettings) -> None:
    """Send what is logged below `wsgikit` to the error log. Raises ConfigError for a file that cannot be opened."""
    from wsgikit.observe import errorlog

    errorlog.set_up(settings)


def revive_loggers() -> None:
    """Undo what an app's `logging.config` did to our loggers; call it once the app is loaded."""
    from wsgikit.observe import errorlog

    errorlog.revive()


def reopen_logs() -> None:
    """Reopen all log files of this process, as USR1 asks for. Raises nothing."""
    from wsgikit.observe.linefile import reopen_all

    reopen_all()
