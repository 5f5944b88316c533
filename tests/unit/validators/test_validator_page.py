"""docs/validator.md says what there is: its commands parse, its Python runs, its words are those of the code."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from wsgikit.cli.main import run as main
from wsgikit.validators.lint.recorder import MODES
from wsgikit.validators.report import Verdict, load_expectations
from wsgikit.validators.report.command import FORMATS

PAGE = (Path(__file__).parents[3] / "docs" / "validator.md").read_text("utf-8")
COMMANDS = [line.strip() for line in PAGE.splitlines() if line.startswith("    wsgikit ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_option_of_a_command_is_one(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    ours = words[: words.index("--")] if "--" in words else words
    command = ours[:2] if ours[0] == "check" else ours[:1]
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        main([*command, "--help"])
    for word in ours:
        if word.startswith("-"):
            assert re.search(rf"{re.escape(word)}\b", shown.getvalue()), f"{word} of: {line}"


def test_there_are_commands_for_every_front_end() -> None:
    for name in ("check app", "check middleware", "check server", "check matrix"):
        assert any(line.startswith(f"wsgikit {name}") for line in COMMANDS)


def test_its_python_runs() -> None:
    blocks = re.findall(r"(?:^    .*\n|^\n)+", PAGE, re.MULTILINE)
    lint = next(block for block in blocks if "import Lint" in block)
    names = {"app": lambda environ, start_response: []}
    exec("\n".join(line[4:] for line in lint.splitlines()), names)
    compiled = [block for block in blocks if "def test_" in block or "test_conformance" in block]
    assert len(compiled) == 2
    for block in compiled:
        compile("\n".join(line[4:] for line in block.splitlines()), "page", "exec")


def test_its_example_of_a_declared_deviation_is_read(tmp_path: Path) -> None:
    start = PAGE.index("    [[expect]]")
    block = PAGE[start : PAGE.index("\n\n", start)]
    (tmp_path / "expect.toml").write_text("\n".join(line[4:] for line in block.splitlines()))
    (one,) = load_expectations(tmp_path / "expect.toml")
    assert (one.id, one.target) == ("WSGI-S62", "gunicorn*")


def test_it_names_all_verdicts_formats_and_modes() -> None:
    for verdict in Verdict:
        assert f"| {verdict} |" in PAGE
    for name in FORMATS:
        assert f"`{name}`" in PAGE
    for mode in MODES:
        assert mode in PAGE
