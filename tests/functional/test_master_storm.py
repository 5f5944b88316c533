"""Everything at once: after a storm of crashes, signals and retirements all is as it was, and nothing has leaked."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _processes() -> ModuleType:
    """The neighbour test file: tests are no package, so that nothing of them can be imported by accident."""
    path = Path(__file__).with_name("test_master_processes.py")
    spec = importlib.util.spec_from_file_location("master_processes", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


processes = _processes()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Any]:
    server = processes.Served(tmp_path)
    yield server
    server.end()


# Few crashes: after many in a row the master takes its time.
ACTIONS = ["crash", "die", *["retire", "hup", "ttin", "ttou", "usr1", "stray"] * 3, *["ask"] * 20]


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def storm(served: Any, steps: int, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(steps):
        action = dice.choice(ACTIONS)
        with contextlib.suppress(OSError, ValueError):  # a worker that is killed answers nobody
            if action in ("crash", "die"):
                served.tell(action)
            elif action in ("retire", "ask"):
                served.ask("info" if action == "ask" else action)
            elif action == "stray":
                os.kill(dice.choice(sorted(served.pids())), dice.choice([signal.SIGHUP, signal.SIGUSR1]))
            else:
                served.signal(getattr(signal, f"SIG{action.upper()}"))


@pytest.mark.parametrize("preload", [False, True])
@pytest.mark.parametrize("steps", [120, pytest.param(600, marks=pytest.mark.soak)])
def test_after_a_storm_all_is_as_before(served: Any, preload: bool, steps: int) -> None:
    served.start(workers=3, preload=preload)
    master = served.process.pid
    files = open_files(master)
    storm(served, steps, seed=steps)
    calm = served.log.count("reload")
    served.version("calm")
    served.signal(signal.SIGHUP)
    processes.until(
        lambda: served.log.count("reload") > calm and served.ask()["version"] == "calm",
        lambda: "the last reload",
        served.process,
    )
    processes.until(
        lambda: len(served.pids()) == 3 and served.ask("taken") == 3 + preload,
        lambda: f"three workers, now {served.ask('taken')} slots:\n{served.log}",
        served.process,
    )
    processes.until(lambda: open_files(master) == files, lambda: f"{files} files open, now {open_files(master)}")
    family = (
        served.children() if not preload else {pid for child in served.children() for pid in served.children(child)}
    )
    assert family == served.pids()
    served.signal(signal.SIGTERM)
    assert served.exit_status() == 0
    assert "Traceback" not in served.log
