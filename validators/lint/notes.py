"""What the lint's checks hand out: a rule's key and what was seen. Knows neither reports nor requests."""

from __future__ import annotations

from typing import NamedTuple

from wsgikit.validators.report.model import Verdict


class Note(NamedTuple):
    """One thing seen. `verdict` and `profile` stand in for the rule's own where they are given."""

    key: str
    detail: str
    verdict: Verdict | None = None
    profile: str = ""


def shown(value: object, limit: int = 80) -> str:
    """A repr that is never long, and that an object with a broken `__repr__` cannot break."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__} whose repr() fails>"
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def named(error: BaseException) -> str:
    """Class and text of an exception; one whose `__str__` is broken cannot break this."""
    try:
        text = str(error)
    except Exception:
        text = "its str() fails"
    return f"{type(error).__name__}: {text}"
