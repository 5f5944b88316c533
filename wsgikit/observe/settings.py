"""Settings of the access log, the slow log and the error log: names, defaults, what is allowed.

Owns nothing but values. Must not know where they come from (command line, environment, TOML) nor open a file.
"""

from __future__ import annotations

from dataclasses import dataclass

from wsgikit.errors import ConfigError

LEVELS = ("debug", "info", "warning", "error", "critical")

COMBINED = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
"""What `access_logformat = "combined"` stands for: the combined log format of NCSA and Apache, Gunicorn's default."""


@dataclass(frozen=True, kw_only=True)
class LogSettings:
    """What the server logs and where to. Frozen; one object for the whole process tree.

    access_logfile: "off", "-" (standard output), "logging" (records of the logger `wsgikit.access`, level INFO), or the
        path of a file. Every worker appends to the same file, one write a line.
    access_logformat: "combined", "json", or a custom format, as Gunicorn's: `%(h)s "%(r)s" %(s)s %(D)s %({host}i)s`.
        `wsgikit.observe.logformat` lists the names.
    access_log_field_limit: longest client-sent field (target, Referer, any header) in a line, in characters after
        escaping; the rest is replaced by "...". 0 means: no limit beyond the server's limits on a request head for a
        regular file; 1000 for a pipe, a terminal or a socket, so that a line stays below PIPE_BUF (4096 bytes) and
        cannot mix with the line of another worker.
    error_logfile: "-" (standard error) or the path of a file.
    log_level: "debug", "info", "warning", "error" or "critical": the least severe record in the error log.
    slow_log: seconds; requests that took longer are logged to the error log (logger `wsgikit.slow`, level WARNING) with
        the time they waited, read their body, ran in the app and were sent. 0 turns it off.
    """

    access_logfile: str = "off"
    access_logformat: str = "combined"
    access_log_field_limit: int = 0
    error_logfile: str = "-"
    log_level: str = "info"
    slow_log: float = 0.0

    def __post_init__(self) -> None:
        if self.log_level not in LEVELS:
            raise ConfigError(f"log_level = {self.log_level!r}: allowed are {', '.join(LEVELS)}")
        if not self.access_logfile or not self.error_logfile:
            raise ConfigError('a log file is empty: name a path, "-", or for the access log "off"')
        if not self.slow_log >= 0:  # `not >=` also refuses NaN
            raise ConfigError(f"slow_log = {self.slow_log!r}: a number of seconds, 0 for off")
        if self.access_log_field_limit and self.access_log_field_limit < 16:
            raise ConfigError(
                f"access_log_field_limit = {self.access_log_field_limit!r}: 0 (automatic), or 16 and above"
            )
        if self.access_logformat not in ("combined", "json"):
            from wsgikit.observe.logformat import compile_format

            compile_format(self.access_logformat)  # a wrong name is told at once, also where nothing is written yet
