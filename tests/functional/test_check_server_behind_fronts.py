"""`wsgikit check server` against our server behind a web server from the system, by the files of examples/deploy.

What a front makes impossible stands in examples/deploy/fronts-expect.toml, with the reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from web_fronts import DEPLOY, FILES, missing

LAUNCHER = Path(__file__).parents[1] / "fakes" / "behind_a_front.py"
# For a run in every `make test`: what a front or a wire changes most easily.
QUICK = ("S09", "S23", "S24", "S29", "S31", "S36", "S66", "S76", "S80")


def check(file: str, tmp_path: Path, *options: str, seconds: float) -> dict:
    report = tmp_path / "report.json"
    command = [sys.executable, str(LAUNCHER), file, "{port}", "{app}"]
    expected = ["--expect", str(DEPLOY / "fronts-expect.toml"), "--timeout", str(seconds)]
    done = subprocess.run(
        [sys.executable, "-m", "wsgikit", "check", "server", "--name", file, "--profile", "recommended", *expected,
         "--lanes", "4", "--output", f"json={report}", *options, "--", *command],
        capture_output=True, text=True, timeout=seconds + 30,
    )  # fmt: skip
    document: dict = json.loads(report.read_text())
    assert not document["aborted"], document["aborted"]
    assert done.returncode == 0, done.stdout[-6000:]
    return document


def need(file: str) -> None:
    if missing(file):
        pytest.skip(missing(file))


def test_behind_nginx_over_uwsgi(tmp_path: Path) -> None:
    need("nginx-uwsgi.conf")
    selected = [part for name in QUICK for part in ("--select", name)]
    summary = check("nginx-uwsgi.conf", tmp_path, *selected, seconds=60)["summary"]
    assert summary["FAIL"] == summary["WARN"] == summary["ERROR"] == 0
    assert summary["PASS"] >= len(QUICK) - 2  # nginx makes one slash of two, which is allowed; the machine may be busy


@pytest.mark.soak
@pytest.mark.parametrize("file", FILES)
def test_every_rule_that_the_wire_can_carry(file: str, tmp_path: Path) -> None:
    need(file)
    document = check(file, tmp_path, seconds=150)
    summary = document["summary"]
    assert summary["FAIL"] == summary["WARN"] == summary["ERROR"] == 0, json.dumps(
        [row for row in document["results"] if row["verdict"] in ("FAIL", "WARN", "ERROR")], indent=1
    )
    assert summary["PASS"] >= 66
    print(file, {name: count for name, count in summary.items() if count})
