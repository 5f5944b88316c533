"""Fixtures of the tests that start the real command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from scripted_upstream import Stage

from wsgikit.testing import ServerProcess

APPS = Path(__file__).parent / "apps"
Serving = Callable[..., ServerProcess]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    """`serving("--threads", "2", app="many_sided:app", env={...})` starts `wsgikit serve` and stops it at the end."""
    with ExitStack() as stack:

        def start(
            *options: str, app: str = "many_sided:app", env: dict[str, str] | None = None, bind: str = "{host}:{port}"
        ) -> ServerProcess:
            command = [sys.executable, "-m", "wsgikit", "serve", app, "-b", bind, "--pythonpath", str(APPS), *options]
            return stack.enter_context(ServerProcess(command, env=env or {}, cwd=tmp_path))

        yield start


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """An upstream for the module's gateways, which stay up; each test says what it does."""
    made = Stage()
    with made.upstream:
        yield made
