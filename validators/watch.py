"""Lints for tests: what a test's apps did, the test clients that are watched, and a client over the WSGI app itself.

Owns the patches of foreign test clients; each is undone when the test is over. Knows nothing of pytest.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.validators.app.driver import Answer, Conversation
from wsgikit.validators.app.request import Request
from wsgikit.validators.lint import Lint
from wsgikit.validators.report.model import Finding
from wsgikit.validators.report.outcome import FAIL_ON
from wsgikit.validators.rules import rule

# Under the heading of a failed test, this many findings are shown.
_SHOWN = 10


class Watch:
    """Collects what the apps of one test do.

    `profile` as in `Lint`, `fail_on` "must" or "should", `ignore` names rules that do not count.
    """

    def __init__(self, profile: str = "http", fail_on: str = "must", ignore: Iterable[str] = ()) -> None:
        if fail_on not in FAIL_ON:
            raise ConfigError(f"fail_on={fail_on!r}; choose one of {', '.join(FAIL_ON)}")
        if isinstance(ignore, str):
            raise ConfigError("ignore has to be a list of rules")
        self._profile = profile
        self._fail_on = FAIL_ON[fail_on]
        self._ignored = {rule(name).id for name in ignore}
        self._lints: dict[int, Lint] = {}
        Lint(lambda environ, start_response: [], profile=profile)  # refuses an unknown profile now, not in the test

    def lint(self, app: Callable[..., Any]) -> Lint:
        """The app under a lint. The test client is not judged, only the app."""
        if isinstance(app, Lint):
            return app
        known = self._lints.get(id(app))
        if known is None:
            known = self._lints[id(app)] = Lint(app, profile=self._profile, roles=("app",))
        return known

    def findings(self) -> list[Finding]:
        """What counts against the test, each thing once."""
        found: dict[tuple[str, str], Finding] = {}
        for lint in self._lints.values():
            for finding in lint.findings:
                if finding.verdict in self._fail_on and finding.rule not in self._ignored:
                    found.setdefault((finding.rule, finding.detail), finding)
        return list(found.values())

    def verdict(self) -> str:
        """Why the test fails, "" when it does not. Forgets what it reports."""
        findings = self.findings()
        for lint in self._lints.values():
            lint.clear()
        if not findings:
            return ""
        lines = [f"the WSGI app broke {len(findings)} rule(s) of PEP 3333 or HTTP:"]
        for finding in findings[:_SHOWN]:
            lines.append(f"  {finding.rule} {finding.detail} ({finding.case})")
            if finding.location is not None:
                lines.append(f"      at {finding.location.path}:{finding.location.line}")
        if len(findings) > _SHOWN:
            lines.append(f"  ... and {len(findings) - _SHOWN} more")
        lines.append(f"`wsgikit rules {findings[0].rule}` says more about the first.")
        return "\n".join(lines)


@contextlib.contextmanager
def patched_clients(watch: Watch) -> Iterator[None]:
    """While this is open, the test clients of Werkzeug, Flask, WebTest and Django's live server run apps under a lint.

    Only those are touched that can be imported; Django only where somebody has imported its test cases already.
    """
    with contextlib.ExitStack() as undo:
        _werkzeug(watch, undo)
        _webtest(watch, undo)
        _django(watch, undo)
        yield


def _replace(undo: contextlib.ExitStack, owner: Any, name: str, value: Any) -> None:
    if name in vars(owner):
        undo.callback(setattr, owner, name, vars(owner)[name])
    else:
        undo.callback(delattr, owner, name)  # it was inherited
    setattr(owner, name, value)


def _module(name: str) -> Any:
    """The module, None where it is not installed. Its warnings are not those of the test, which may not use it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError:
            return None


def _werkzeug(watch: Watch, undo: contextlib.ExitStack) -> None:
    """Flask's client is a Werkzeug client."""
    module = _module("werkzeug.test")
    if module is None:
        return
    original = module.run_wsgi_app

    def run_wsgi_app(app: Any, environ: Any, buffered: bool = False) -> Any:
        return original(watch.lint(app), environ, buffered)

    _replace(undo, module, "run_wsgi_app", run_wsgi_app)


def _webtest(watch: Watch, undo: contextlib.ExitStack) -> None:
    """Inside WebTest's own lint, which is between its client and the app."""
    module = _module("webtest.app")
    if module is None:
        return
    original = module.TestApp.do_request

    def do_request(self: Any, *args: Any, **options: Any) -> Any:
        app = self.app
        self.app = watch.lint(app)
        try:
            return original(self, *args, **options)
        finally:
            self.app = app

    _replace(undo, module.TestApp, "do_request", do_request)


def _django(watch: Watch, undo: contextlib.ExitStack) -> None:
    """The live server of LiveServerTestCase and of pytest-django's fixture."""
    module = sys.modules.get("django.core.servers.basehttp")
    if module is None:
        return
    original = module.WSGIServer.get_app

    def get_app(self: Any) -> Any:
        return watch.lint(original(self))

    _replace(undo, module.WSGIServer, "get_app", get_app)


class Client:
    """Runs a WSGI app in process, under a lint: `client.get("/path")`, or any other method by `client.request`."""

    def __init__(self, app: Callable[..., Any] | None, watch: Watch) -> None:
        self._lint = watch.lint(_django_app() if app is None else app)

    def request(self, method: str, target: str, *, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
        """One request. What the app raises comes through."""
        request = Request(
            method=method, target=target, body=body, headers=tuple((headers or {}).items()), host="localhost"
        )
        answer = Conversation(request).run(self._lint)
        if answer.raised is not None:
            raise answer.raised
        return Reply(answer)

    def get(self, target: str, **options: Any) -> Reply:
        """A GET."""
        return self.request("GET", target, **options)

    def post(self, target: str, body: bytes = b"", **options: Any) -> Reply:
        """A POST."""
        return self.request("POST", target, body=body, **options)


class Reply:
    """A response: `status` ("200 OK"), `code`, `headers` (list of pairs), `body`, `text`."""

    def __init__(self, answer: Answer) -> None:
        self.status = answer.status
        self.headers = list(answer.headers)
        self.body = answer.body

    @property
    def code(self) -> int:
        """The status code."""
        return int(self.status[:3])

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode("utf-8")

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def _django_app() -> Any:
    try:
        from django.core.wsgi import get_wsgi_application
    except ImportError as error:
        raise ConfigError("wsgi_client() without an app gives a client over Django's; pip install django") from error
    return get_wsgi_application()
