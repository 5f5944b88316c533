"""The comparison of lints: runs, and ours finds everything without a false alarm."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / "bench" / "lints.py"


@pytest.fixture(scope="module")
def lints() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_lints", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore")
def test_ours_finds_all_with_no_false_alarm_and_the_others_do_not(
    lints: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lints.main(["--markdown"]) == 0
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in capsys.readouterr().out.splitlines()]

    assert rows[0][0] == "lint"
    total = int(rows[0][1].removeprefix("found of "))
    assert rows[2] == ["wsgikit", str(total), "0", "0", "0"]
    assert rows[3][0] == "wsgiref.validate"
    assert 0 < int(rows[3][1]) < total
    assert int(rows[3][4]) > 0
