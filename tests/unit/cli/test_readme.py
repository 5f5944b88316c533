"""What the README shows can be typed: its commands parse, its configurations are right, its Python compiles.

And what it links to is there.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from importlib import import_module
from pathlib import Path

import pytest

from wsgikit.cli import main
from wsgikit.config.resolve import Sources

README = Path(__file__).parents[3] / "README.md"
BLOCKS = [textwrap.dedent(block).strip() for block in re.findall(r"(?m)(?:^    .*\n|^\n)+", README.read_text("utf-8"))]
COMMANDS = [
    line.partition("  #")[0]
    for line in re.findall(r"(?m)^(?:\$ )?(wsgikit .*)$", "\n".join(BLOCKS))
    + re.findall(r"`(wsgikit [^`]+)`", README.read_text("utf-8"))
    if not line.endswith(":")
]
TOML = [block for block in BLOCKS if block.startswith(("bind =", "[[mount]]"))]
PYTHON = [block for block in BLOCKS if re.match(r"(?:from|import) \w", block)]


def test_there_is_something_to_test() -> None:
    assert len(COMMANDS) >= 10
    assert len(TOML) >= 2
    assert len(PYTHON) >= 2


@pytest.mark.parametrize("command", sorted({line for line in COMMANDS if not line.startswith("wsgikit: ")}))
def test_a_command_parses(command: str) -> None:
    words = [word for word in shlex.split(command)[1:] if word != "--help"]
    name = "-".join(words[:2]) if words[0] == "check" and len(words) > 1 else words[0]
    assert name.partition("-")[0] in main.COMMANDS
    module = import_module(main.module_name(name))
    if name == "check":
        return
    main.command_parser(name, module).parse_args(words[1 + name.startswith("check-") :])


@pytest.mark.parametrize("toml", TOML)
def test_a_configuration_is_right(toml: str, tmp_path: Path) -> None:
    (tmp_path / "wsgikit.toml").write_text(toml)
    assert Sources(environ={}, folder=str(tmp_path)).read().mounts


@pytest.mark.parametrize("code", PYTHON)
def test_python_compiles_and_imports(code: str) -> None:
    compile(code, "README.md", "exec")
    for module, names in re.findall(r"(?m)^from (wsgikit[\w.]*) import (.*)$", code):
        for name in names.split(", "):
            assert getattr(import_module(module), name)


@pytest.mark.parametrize("page", sorted({README, *README.parent.glob("docs/*.md")}), ids=lambda page: page.name)
def test_what_is_linked_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)", page.read_text("utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
