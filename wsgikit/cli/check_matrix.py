"""`wsgikit check matrix A.json B.json ...`: several JSON reports as one HTML page of rules against targets."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wsgikit.errors import ConfigError
from wsgikit.validators.report.page import matrix_from

HELP = """Join JSON reports into one HTML page of rules against targets.

The reports come from `wsgikit check ... --output json=FILE`. The page needs nothing else and can be filtered."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("reports", nargs="+", metavar="REPORT.json", help="JSON reports; a column each")
    parser.add_argument("-o", "--output", metavar="FILE", help="where the page goes (default: standard output)")


def run(options: argparse.Namespace) -> int:
    """Write the page. Returns 0. Raises ConfigError for a file that is no report."""
    text = matrix_from(options.reports)
    if options.output is None:
        sys.stdout.write(text)
        return 0
    try:
        Path(options.output).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"--output: cannot write {options.output}: {error.strerror or error}") from error
    return 0
