"""Flask, Django, Pyramid and a bare app, mounted side by side on the real server: the example, as it is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from wsgikit.testing import ServerProcess

CONFIG = Path(__file__).parents[2] / "examples" / "mounting" / "wsgikit.toml"

FRAMEWORKS = [
    pytest.param(place, name, marks=pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed"))
    for place, name in [("/flask", "flask"), ("/django", "django"), ("/tief/b%C3%BCro", "pyramid")]
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    # the example is imported from where it lies, and leaves no bytecode there
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "wsgikit", "serve", "--config", str(CONFIG), "-b", "{host}:{port}"]
    with ServerProcess(command, env=env, cwd=tmp_path_factory.mktemp("mounted")) as process:
        yield process


def get(server: ServerProcess, target: str, host: str = "mounts.example", method: str = "GET") -> tuple[int, str, str]:
    """Status, text and Location of a request whose target is sent as it stands."""
    address = server.address
    connection = HTTPConnection(address[0], int(address[1]), timeout=20)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", host)
        connection.putheader("Connection", "close")
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read().decode(), response.headers.get("Location", "")
    finally:
        connection.close()


@pytest.mark.parametrize(("place", "name"), [("", "raw"), *FRAMEWORKS])
def test_the_urls_an_app_builds_lead_back_to_it(server: ServerProcess, place: str, name: str) -> None:
    status, text, _ = get(server, f"{place}/hello/w%C3%B6rld%20x")
    greeting, url = text.splitlines()
    assert (status, greeting) == (200, f"{name}: hello wörld x")
    path = urlsplit(url).path
    assert path == f"{place}/hello/w%C3%B6rld%20x"
    assert get(server, path) == (status, text, "")


@pytest.mark.parametrize(("place", "name"), FRAMEWORKS)
def test_the_redirects_of_an_app_stay_in_its_mount(server: ServerProcess, place: str, name: str) -> None:
    status, _, location = get(server, f"{place}/folder")
    assert status in (301, 302, 307, 308)
    parts = urlsplit(location)
    assert parts.netloc in ("", "mounts.example")
    assert parts.path == f"{place}/folder/"
    assert get(server, parts.path)[:2] == (200, f"{name}: folder\n")


def test_a_host_has_mounts_of_its_own(server: ServerProcess) -> None:
    assert get(server, "/hello/x", "shop.example")[1] == "flask: hello x\n/hello/x\n"
    assert get(server, "/hello/x", "SHOP.EXAMPLE.:80")[1] == "flask: hello x\n/hello/x\n"


def test_an_app_that_cannot_be_imported_answers_503_beside_its_neighbours(server: ServerProcess) -> None:
    assert get(server, "/broken/x")[:2] == (503, "Service Unavailable\n")
    server.wait_for_output("no_such_module")
    assert get(server, "/hello/x")[0] == 200


@pytest.mark.parametrize(
    "target", ["/flask/../django/hello/x", "/flask/%2e%2e/django/hello/x", "/flask/..%2fdjango/hello/x", "/django/.."]
)
def test_no_path_leads_out_of_a_mount(server: ServerProcess, target: str) -> None:
    assert get(server, target)[0] == 400


def test_a_prefix_is_a_prefix_by_segments(server: ServerProcess) -> None:
    status, text, _ = get(server, "/flaskx/hello/x")
    assert (status, text) == (404, "")
