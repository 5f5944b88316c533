"""The demo: five apps on one server, started by the real command on a port that the system chooses."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "demo" / "wsgikit.toml"
ADDRESS = re.compile(r"  (http://127\.0\.0\.1:[0-9]+)(/\S*)  (\S+)")


@pytest.fixture(scope="module")
def mounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The addresses that the server printed, by the path of the mount."""
    printed = tmp_path_factory.mktemp("demo") / "output"
    command = [sys.executable, "-m", "wsgikit", "serve", "--config", str(DEMO), "--bind", "127.0.0.1:0"]
    with printed.open("wb") as output:
        process = subprocess.Popen(command, cwd=printed.parent, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 20
        while "ready" not in (text := printed.read_text()):
            assert process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.02)
        yield {path: base + path for base, path, _ in ADDRESS.findall(text)}
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, printed.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def fetch(url: str) -> str:
    with urlopen(url, timeout=10) as response:
        text: str = response.read().decode()
    return text


def test_the_addresses_of_all_mounts_are_printed(mounts: dict[str, str]) -> None:
    assert sorted(mounts) == ["/", "/environ", "/files", "/time-webob", "/time-werkzeug"]


def test_the_front_page_links_to_every_mount(mounts: dict[str, str]) -> None:
    page = fetch(mounts["/"])
    assert [path for path in mounts if f'href="{path}"' not in page] == []


def test_the_bare_app_shows_its_environ(mounts: dict[str, str]) -> None:
    text = fetch(mounts["/environ"] + "/inner?a=b")
    assert "SCRIPT_NAME = '/environ'\n" in text
    assert "PATH_INFO = '/inner'\n" in text
    assert "QUERY_STRING = 'a=b'\n" in text


@pytest.mark.parametrize(("path", "library"), [("/time-webob", "WebOb"), ("/time-werkzeug", "Werkzeug")])
def test_the_time_is_told_by_either_library(mounts: dict[str, str], path: str, library: str) -> None:
    assert re.fullmatch(rf"{library} says: \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d \S*\n", fetch(mounts[path]))


def test_a_folder_is_listed_and_its_files_are_served(mounts: dict[str, str]) -> None:
    listing = fetch(mounts["/files"])
    names = [entry.name for entry in (DEMO.parent / "files").iterdir()]
    assert names
    for name in names:
        assert f'href="/files/{name}"' in listing
        assert fetch(f"{mounts['/files']}/{name}") == (DEMO.parent / "files" / name).read_text()


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nothing", 404), ("/files/nothing", 404), ("/files/../wsgikit.toml", 400), ("/files/%2e%2e/wsgikit.toml", 400)],
)
def test_what_is_not_there_is_refused(mounts: dict[str, str], path: str, status: int) -> None:
    with pytest.raises(HTTPError) as caught:
        fetch(mounts["/"].rstrip("/") + path)
    with caught.value:
        assert caught.value.code == status
