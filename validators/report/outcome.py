"""From a report to an exit status. Owns the meaning of 0, 1, 2, 3 and of --fail-on."""

from __future__ import annotations

from wsgikit.validators.report.model import Report, Verdict

CLEAN = 0
VIOLATIONS = 1
USAGE = 2
UNRESOLVED = 3

FAIL_ON = {
    "must": frozenset({Verdict.FAIL}),
    "should": frozenset({Verdict.FAIL, Verdict.WARN}),
}


def exit_status(report: Report, fail_on: str = "must") -> int:
    """0 clean, 1 violations at or above `fail_on`, 3 when the run itself failed.

    The run failed when it was aborted, when the validator had an error, or when it judged nothing at all. A single
    INCONCLUSIVE rule does not fail a run: timing must never turn a build red. Expectations that no longer hold (an
    unexpected pass) count as violations under "should", so that the file does not rot.
    """
    verdicts = {row.verdict for row in report.rows()}
    if verdicts & FAIL_ON[fail_on] or (fail_on == "should" and report.stale):
        return VIOLATIONS
    judged = verdicts - {Verdict.SKIP, Verdict.INCONCLUSIVE}
    if report.aborted or Verdict.ERROR in verdicts or not judged:
        return UNRESOLVED
    return CLEAN
