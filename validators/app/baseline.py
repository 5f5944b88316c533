"""What an app answers when nothing is unusual, and whether another answer shows more than that the app varies.

A page with a clock, or one that counts its visitors in dozens, is the same for a few requests and then another one:
none of the server's doing. So a difference is held against the app only after a control: twice as many plain requests,
over as long a time, in which nothing changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from wsgikit.validators.app.driver import Answer
from wsgikit.validators.app.request import Request
from wsgikit.validators.app.session import Session, alike, difference

# Clocks on pages have seconds; a control that is shorter would not see one move.
_LEAST_SECONDS, _MOST_SECONDS = 1.1, 3.0
_LEAST, _MOST = 10, 200
# an app that says so is in order, and asked too much
_TOO_MANY = "429"


class Baseline:
    """How the app answers one request. `steady`: the body is the same each time, as far as is known."""

    def __init__(self, session: Session, request: Request, answer: Answer, steady: bool) -> None:
        self.answer = answer
        self.steady = steady
        self._session = session
        self._request = request
        self._asked = session.asked
        self._began = time.monotonic()

    def differs(self, answer: Answer, again: Callable[[], Answer] | None = None) -> bool:
        """Whether an answer is another one because of what the server did.

        `again` does it once more, where it is expected to leave no trace in the app: the difference has to come again,
        and plain requests have to be answered as ever. Without `again` a lasting change counts, too.
        """
        if alike(self.answer, answer, self.steady):
            return False
        if alike(self.answer, answer, body=False):
            return self._body_differs(again)
        plain = self._session.ask_bare(self._request)
        if not answer.status.startswith(_TOO_MANY) and (again is None or alike(self.answer, plain, body=False)):
            return True
        self._session.note(f"{self._request.label}: meanwhile, {difference(self.answer, plain)}")
        return False

    def steady_now(self) -> bool:
        """Whether the body still is the same each time; asks for as long as was asked so far."""
        if self.steady:
            self.steady = len(self._control()) == 1
        return self.steady

    def _body_differs(self, again: Callable[[], Answer] | None) -> bool:
        found = self._control()
        if found == {self.answer.digest}:
            return again is None or not alike(self.answer, again(), body=True)
        self.steady = again is None and len(found) == 1
        return self.steady

    def _control(self) -> set[str]:
        """The bodies that plain requests get."""
        count = min(max(2 * (self._session.asked - self._asked), _LEAST), _MOST)
        pause = min(max(time.monotonic() - self._began, _LEAST_SECONDS), _MOST_SECONDS) / count
        found: set[str] = set()
        for _ in range(count):
            time.sleep(pause)
            found.add(self._session.ask_bare(self._request).digest)
        return found
