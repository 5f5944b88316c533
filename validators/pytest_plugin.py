"""The pytest plugin: fixtures `wsgi_lint` and `wsgi_client`, marker `wsgi`, option `--wsgi-strict`.

    def test_page(wsgi_lint):
        client = werkzeug.test.Client(wsgi_lint(app))     # the test fails when the app breaks PEP 3333
        assert client.get("/").status_code == 200

    def test_page(wsgi_client):
        answer = wsgi_client(app).get("/?q=1")            # a client that runs the app itself, under the lint
        assert answer.code == 200

    @pytest.mark.wsgi(ignore=["WSGI-A50"], fail_on="should", profile="pedantic", strict=True)

`pytest --wsgi-strict` (or `wsgi_strict = true` in the ini file) lints every app that a test drives through the test
clients of Werkzeug, Flask and WebTest, or through Django's LiveServerTestCase. Django's own client never calls the WSGI
app; `wsgi_client()` without an argument gives one that does.

Every pytest run of an environment that has wsgikit installed loads this module: it imports pytest, which is there
already, and everything else when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from wsgikit.validators.lint import Lint
    from wsgikit.validators.watch import Client, Watch

_MARKER = (
    "wsgi(profile='http', fail_on='must', ignore=(), strict=False): how the WSGI apps that this test drives are "
    "judged; strict=True is --wsgi-strict for one test"
)

_WATCHES: pytest.StashKey[list[Watch]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--wsgi-strict` and its ini twin."""
    text = "fail tests whose WSGI app breaks PEP 3333, in the test clients of Werkzeug, Flask, WebTest and Django"
    parser.getgroup("wsgi").addoption("--wsgi-strict", action="store_true", default=False, help=text)
    parser.addini("wsgi_strict", text, type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, so that `--strict-markers` runs accept it."""
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Watch the test clients while a strict test runs, and fail it for what its apps did."""
    __tracebackhide__ = True
    watches = item.stash.get(_WATCHES, [])
    if not _strict(item):
        result = yield
    else:
        from wsgikit.validators.watch import patched_clients

        watches = [*watches, _watch(item)]
        with patched_clients(watches[-1]):
            result = yield
    for watch in watches:
        _judge(watch)
    return result


@pytest.fixture
def wsgi_lint(request: pytest.FixtureRequest) -> Generator[Callable[[Any], Lint], None, None]:
    """Wrap an app: `app = wsgi_lint(app)`. The test fails when the app breaks a rule."""
    watch = _noted(request.node)
    yield watch.lint
    _judge(watch)


@pytest.fixture
def wsgi_client(request: pytest.FixtureRequest) -> Generator[Callable[..., Client], None, None]:
    """A client over the WSGI app itself: `wsgi_client(app).get("/")`; without an app, Django's."""
    from wsgikit.validators.watch import Client

    watch = _noted(request.node)

    def client(app: Any = None) -> Client:
        return Client(app, watch)

    yield client
    _judge(watch)


def _strict(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("wsgi")
    if marker is not None and "strict" in marker.kwargs:
        return bool(marker.kwargs["strict"])
    return bool(item.config.getoption("--wsgi-strict") or item.config.getini("wsgi_strict"))


def _noted(item: pytest.Item) -> Watch:
    """A fixture's watch: judged at the end of the call, and what comes after that when the fixture goes."""
    watch = _watch(item)
    item.stash.setdefault(_WATCHES, []).append(watch)
    return watch


def _watch(item: Any) -> Watch:
    from wsgikit.errors import ConfigError
    from wsgikit.validators.watch import Watch

    marker = item.get_closest_marker("wsgi")
    options = {} if marker is None else {key: value for key, value in marker.kwargs.items() if key != "strict"}
    try:
        if marker is not None and marker.args:
            raise ConfigError("takes keywords only")
        return Watch(**options)
    except (ConfigError, TypeError) as error:
        raise pytest.UsageError(f"{item.nodeid}: @pytest.mark.wsgi: {error}") from None


def _judge(watch: Watch) -> None:
    __tracebackhide__ = True
    verdict = watch.verdict()
    if verdict:
        pytest.fail(verdict, pytrace=False)
