"""Verdicts, findings, reports, exit codes and output formats, shared by lint and all three checks.

    from wsgikit.validators.report import Finding, Report, Reproducer, Verdict, broken, exit_status

Formats live in modules of their own and are imported when they are asked for.
"""

from __future__ import annotations

from wsgikit.validators.report.expect import apply_expectations, load_expectations
from wsgikit.validators.report.model import (
    Expectation,
    Finding,
    Location,
    Report,
    Reproducer,
    Row,
    Verdict,
    broken,
    worst,
)
from wsgikit.validators.report.outcome import CLEAN, UNRESOLVED, USAGE, VIOLATIONS, exit_status

__all__ = [
    "CLEAN",
    "UNRESOLVED",
    "USAGE",
    "VIOLATIONS",
    "Expectation",
    "Finding",
    "Location",
    "Report",
    "Reproducer",
    "Row",
    "Verdict",
    "apply_expectations",
    "broken",
    "exit_status",
    "load_expectations",
    "worst",
]
