"""The bench is one command: it says what it can do, runs what stands beside it, and leaves nothing behind."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "bench" / "run.py"


def bench(*arguments: str, folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(RUN), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    return done.returncode, done.stdout + done.stderr


def test_its_parts_are_run_by_name(tmp_path: Path) -> None:
    status, output = bench("routes", "--sizes", "3", "--rounds", "1", "--json", folder=tmp_path)
    rows = [json.loads(line) for line in output.splitlines()]
    assert status in (0, 1)  # 1: Werkzeug was not beaten by half, in a single round on a machine that does other things
    assert {"dict of whole paths", "wsgikit Table", "werkzeug Map"} <= {row["name"] for row in rows}


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_one_round_gives_figures_and_leaves_nothing_behind(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    typed = ["--servers", "wsgikit,wsgiref", "--workloads", "startup", "--rounds", "1"]
    status, output = bench(*typed, "--json", str(figures), folder=tmp_path)
    assert status == 0, output
    results = {result["server"]: result for result in json.loads(figures.read_text())["results"]}
    assert not results["wsgikit"]["failed"], output
    assert results["wsgikit"]["start"][0] > 0
    assert list(tmp_path.iterdir()) == [figures]


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
@pytest.mark.soak
@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_the_wires_behind_nginx(tmp_path: Path) -> None:
    typed = ["--servers", "wsgikit-fastcgi", "--workloads", "small", "--rounds", "1", "--seconds", "1"]
    status, output = bench("gateways", *typed, folder=tmp_path)
    assert status == 0, output
    rows = [line.split() for line in output.splitlines() if line.startswith("wsgikit-")]
    assert [row[0] for row in rows] == ["wsgikit-fastcgi"]
    assert all(float(row[5]) > 0 for row in rows), output  # CPU
    assert list(tmp_path.iterdir()) == []


@pytest.mark.soak
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_xslt_beside_its_floor(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    typed = ["--sizes", "small", "--rounds", "1", "--seconds", "1", "--json", str(figures)]
    status, output = bench("xslt", *typed, folder=tmp_path)
    assert status == 0, output
    rows = json.loads(figures.read_text())["small"]
    assert {"wsgikit", "wsgikit 4 threads", "wsgikit results"} <= rows.keys()
    assert all(row["rate"] > 0 and row["cpu_ms"] > 0 for row in rows.values()), output
    assert list(tmp_path.iterdir()) == [figures]


def test_a_wrong_name_is_told_with_those_there_are(tmp_path: Path) -> None:
    status, output = bench("--servers", "apache", folder=tmp_path)
    assert status == 1
    assert "unknown server apache; there are: wsgikit, " in output


def test_every_layer_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(RUN.parent))
    layers = importlib.import_module("layers")
    given = layers.environ("other")
    for name, contender in layers.contenders().items():
        assert layers.once(contender, given) > 0, name
