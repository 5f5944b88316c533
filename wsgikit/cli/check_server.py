"""`wsgikit check server -- COMMAND`: start any WSGI server with a probe app, drive it byte by byte, and report."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import NoReturn

from wsgikit.errors import ConfigError
from wsgikit.validators.report import Finding
from wsgikit.validators.report.command import add_options, check_options, publish
from wsgikit.validators.report.progress import Progress
from wsgikit.validators.rules import rule
from wsgikit.validators.server.runner import Plan, check
from wsgikit.validators.server.target import Target, write_probe

HELP = """Test a WSGI server against PEP 3333 and HTTP/1.1.

Starts the server by its command, with a probe app that needs nothing but the standard library, and judges on what the
app saw as well as on what the client saw. In the command {host}, {port} and {app} are replaced (module:name), or
{socket} for a Unix socket, {module}, {file} (a file that defines `application`), {directory}, {cert} and {key} (TLS).

  wsgikit check server -- gunicorn -b {host}:{port} {app}
  wsgikit check server --url http://127.0.0.1:8000 --probe-dir probe"""

HINTS = {
    "": "the server's own command goes behind `--`, as in: wsgikit check server -- gunicorn -b {host}:{port} {app}"
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("command", nargs="*", metavar="-- COMMAND", help="how to start the server")
    parser.add_argument("--url", default="", help="a server that runs already, best with the probe as its app")
    parser.add_argument("--probe-dir", default="", metavar="DIR", help="where the app behind --url finds the probe")
    parser.add_argument("--write-probe", default="", metavar="DIR", help="only put the probe app there")
    parser.add_argument("--name", default="", help="what the report calls the server [its command]")
    parser.add_argument("--select", action="append", default=[], metavar="RULE", help="these rules only; repeatable")
    parser.add_argument("--lanes", type=int, default=4, metavar="N", help="servers to try side by side [4]")
    parser.add_argument("--ready", type=float, default=20.0, metavar="S", help="seconds to start in [20]")
    parser.add_argument("--timeout", type=float, default=110.0, metavar="S", help="seconds for the whole run [110]")
    add_options(parser, "http")


def run(options: argparse.Namespace) -> int:
    """Check, report. Returns 0 clean, 1 violations, 2 usage, 3 when the server did not start or nothing was judged."""
    if options.write_probe:
        return _write(options.write_probe)
    check_options(options)
    _check_command(options.command)
    target = Target(
        command=tuple(options.command),
        url=options.url,
        name=options.name,
        probe_directory=options.probe_dir,
        ready=_positive(options.ready, "--ready"),
    )
    plan = Plan(
        profile=options.profile,
        rules=tuple(rule(name).id for name in options.select),
        lanes=int(_positive(options.lanes, "--lanes")),
        limit=_positive(options.timeout, "--timeout"),
    )
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _leave)  # not where it is ignored, as under nohup
    with Progress(sys.stderr) as progress:
        report = check(target, plan, lambda done, total, last: progress(_line(done, total, last)))
    return publish(report, options)


def _check_command(command: list[str]) -> None:
    """What would only show after a wait for a server that listens elsewhere. ConfigError."""
    text = " ".join(command)
    if text.startswith(("http://", "https://")):
        raise ConfigError(f"{command[0]} is no command; for a server that runs already write --url {command[0]}")
    if command and "{port}" not in text and "{socket}" not in text:
        raise ConfigError(
            f"the command {text!r} has neither {{port}} nor {{socket}}: where it shall listen is chosen here; "
            "write it like `gunicorn -b {host}:{port} {app}`"
        )


def _line(done: int, total: int, last: Finding) -> str:
    return f"{done}/{total} {last.rule} {last.case}: {last.verdict}"


def _write(directory: str) -> int:
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
        write_probe(Path(directory))
    except OSError as error:
        raise ConfigError(f"--write-probe {directory}: {error.strerror or error}") from error
    print(f"the app is wsgi_probe:application; put {directory} on the server's PYTHONPATH")
    return 0


def _positive(number: float, flag: str) -> float:
    if number <= 0:
        raise ConfigError(f"{flag} {number:g}: it has to be more than 0")
    return number


def _leave(number: int, frame: object) -> NoReturn:
    """On TERM and HUP the servers that we started are stopped too."""
    raise SystemExit(128 + number)
