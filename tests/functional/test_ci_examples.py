"""The workflow in examples/ci: valid for GitHub, and its shell lines do what they say here as well."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "ci"
WORKFLOW = EXAMPLE / ".github" / "workflows" / "wsgi.yml"

# What a test cannot do: install from the network.
NOT_HERE = ("pip install",)


def steps() -> list[dict[str, Any]]:
    yaml = pytest.importorskip("ruamel.yaml").YAML(typ="safe")
    document = yaml.load(WORKFLOW.read_text())
    found: list[dict[str, Any]] = document["jobs"]["wsgi"]["steps"]
    return found


def test_foreign_tools_find_the_files_valid() -> None:
    pytest.importorskip("check_jsonschema")
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout


def test_the_shell_lines_of_the_workflow_run_and_are_clean(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(EXAMPLE, folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    lines = [step["run"] for step in steps() if "run" in step]
    runnable = [line for line in lines if not line.startswith(NOT_HERE) and _there(line)]
    assert len(runnable) >= 4
    assert len(lines) - len(runnable) <= 2

    summary = tmp_path / "summary.md"
    environ = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    for line in runnable:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        assert "::error" not in done.stdout

    assert all((folder / f"app.{name}").exists() for name in ("json", "xml", "sarif", "html"))
    assert "### wsgikit check app `shop:application`" in summary.read_text()


def _there(line: str) -> bool:
    """Whether the command is part of this installation."""
    return not line.startswith("wsgikit check server") or find_spec("wsgikit.cli.check_server") is not None


def test_the_pre_commit_entry_is_clean(tmp_path: Path) -> None:
    yaml = pytest.importorskip("ruamel.yaml").YAML(typ="safe")
    document = yaml.load((EXAMPLE / ".pre-commit-config.yaml").read_text())
    (hook,) = document["repos"][0]["hooks"]
    words = hook["entry"].split()
    assert words[0] == "wsgikit"
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=EXAMPLE, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout
    assert hook["pass_filenames"] is False
