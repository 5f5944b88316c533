"""The options and the last step that all `wsgikit check` commands share: profile, formats, exit status.

add_options(parser)            # --profile, --format, --output, --fail-on, --expect, --verbose
return publish(report, options)
"""

from __future__ import annotations

import argparse
import importlib
import io
import sys
from pathlib import Path

from wsgikit.errors import ConfigError
from wsgikit.validators.report.expect import FILE, apply_expectations, load_expectations
from wsgikit.validators.report.model import Expectation, Report
from wsgikit.validators.report.outcome import exit_status
from wsgikit.validators.rules import PROFILE_TEXT, PROFILES

FORMATS = {
    "text": "wsgikit.validators.report.text",
    "json": "wsgikit.validators.report.document",
    "junit": "wsgikit.validators.report.junit",
    "github": "wsgikit.validators.report.github",
    "sarif": "wsgikit.validators.report.sarif",
    "html": "wsgikit.validators.report.page",
}
"""Format -> the module with its `render(report) -> str`."""


def add_options(parser: argparse.ArgumentParser, profile: str = "recommended") -> None:
    """Add what every check understands. `profile` is the default one."""
    profiles = "; ".join(f"{name}: {text}" for name, text in PROFILE_TEXT.items())
    parser.add_argument("--profile", choices=PROFILES, default=profile, help=f"{profiles} (default: %(default)s)")
    parser.add_argument("--format", choices=tuple(FORMATS), default="text", help="what goes to standard output")
    parser.add_argument(
        "--output",
        action="append",
        default=[],
        metavar="FORMAT=FILE",
        help="write another format to a file; repeatable",
    )
    parser.add_argument("--fail-on", choices=("must", "should"), default="must", help="exit 1 from this level on")
    parser.add_argument("--expect", metavar="FILE", help=f"declared deviations (default: {FILE} where it exists)")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show also what passed or was skipped, and what the target prints"
    )


def render(report: Report, name: str) -> str:
    """The report in one of `FORMATS`. Raises ConfigError for an unknown one."""
    if name not in FORMATS:
        raise ConfigError(f"no report format {name!r}; there are {', '.join(FORMATS)}")
    text: str = importlib.import_module(FORMATS[name]).render(report)
    return text


def check_options(options: argparse.Namespace) -> None:
    """Look at --output and --expect before a long run begins. Raises ConfigError."""
    for item in options.output:
        _split(item)
    _expectations(options)


def publish(report: Report, options: argparse.Namespace) -> int:
    """Apply declared deviations, write every asked-for format, and give the exit status. Raises ConfigError."""
    report = apply_expectations(report, _expectations(options))
    for item in options.output:
        name, path = _split(item)
        _write(Path(path), render(report, name))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if options.format == "text":
        from wsgikit.validators.report.text import show

        show(report, sys.stdout, verbose=options.verbose)
    else:
        sys.stdout.write(render(report, options.format))
        sys.stdout.flush()
    return exit_status(report, options.fail_on)


def _expectations(options: argparse.Namespace) -> tuple[Expectation, ...]:
    if options.expect is not None:
        return load_expectations(options.expect)
    return load_expectations(FILE) if Path(FILE).is_file() else ()


def _split(item: str) -> tuple[str, str]:
    name, _, path = item.partition("=")
    if name not in FORMATS or not path:
        raise ConfigError(f"--output {item}: write FORMAT=FILE, with a format of {', '.join(FORMATS)}")
    return name, path


def _write(path: Path, text: str) -> None:
    try:
        # A lone surrogate in something that was seen must not cost the report.
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"--output: cannot write {path}: {error.strerror or error}") from error
