"""`wsgikit check app` as a function: an app in, a report out. Knows no command line and no process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wsgikit.validators.app.baseline import Baseline
from wsgikit.validators.app.links import absolute_urls, crawl
from wsgikit.validators.app.request import Request
from wsgikit.validators.app.scenarios import SCENARIOS, baseline
from wsgikit.validators.app.session import Session, Settings, alike, difference
from wsgikit.validators.report.model import Report
from wsgikit.validators.rules import in_profile, rule


def check_app(app: Callable[..., Any], target: str = "app", settings: Settings | None = None) -> Report:
    """Drive the app as a hostile but legal server would.

    `target` names it in the report, best as `pkg.mod:app`, because reproducers use the name.
    """
    return AppCheck(app, target, settings or Settings()).run()


class AppCheck:
    """One check, with what it found so far."""

    def __init__(self, app: Callable[..., Any], target: str, settings: Settings) -> None:
        self._session = Session(app, target, settings)

    @property
    def busy(self) -> tuple[str, float] | None:
        """The request under way and when it began (time.monotonic())."""
        return self._session.busy

    def announce_to(self, listener: Callable[[str], None]) -> None:
        """Tell somebody about each request before it is made."""
        self._session.announce = listener

    def report(self, aborted: str = "") -> Report:
        """What is known so far."""
        return self._session.report(aborted)

    def run(self) -> Report:
        """Every scenario on every request."""
        session, settings = self._session, self._session.settings
        requests = settings.requests
        if settings.crawl:
            requests = crawl(session, requests, settings.crawl)
            session.notes.append(f"{len(requests) - len(settings.requests)} more URLs came from the app's own links")
        for request in requests:
            base = baseline(session, request)
            if base is not None:
                _torment(session, request, base)
        return session.report("" if session.answered else "the app raised an error for every request")


def _torment(session: Session, request: Request, base: Baseline) -> None:
    scenarios = [*SCENARIOS]
    if in_profile(rule("A57"), session.settings.profile):
        scenarios.insert(0, absolute_urls)
    for scenario in scenarios:
        before = session.broken
        scenario(session, request, base)
        if session.broken == before:
            continue
        after = session.ask_bare(request)
        if not alike(base.answer, after, base.steady):
            session.notes.append(
                f"{request.label}: after the scenario {scenario.__name__!r} the app no longer answers as before "
                f"({difference(base.answer, after)}); what comes after it was left out"
            )
            return
    if not base.steady:
        session.notes.append(f"{request.label}: the body differs each time, so only statuses were compared")
