"""`wsgikit` itself: finding commands, saying what is wrong, leaving with the right status."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from wsgikit.cli import main
from wsgikit.errors import ConfigError, LoadError, WsgikitError
from wsgikit.version import __version__


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., int]], None]:
    """Puts a command of the test's own in place of `wsgikit top`."""

    def put(run: Callable[..., int]) -> None:
        module = ModuleType("wsgikit.cli.top")
        module.HELP = "A command.\n\nMore of it."  # type: ignore[attr-defined]
        module.configure = lambda parser: parser.add_argument("--number", type=int)  # type: ignore[attr-defined]
        module.run = run  # type: ignore[attr-defined]
        module.HINTS = {"--daemon": "use a supervisor"}  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "wsgikit.cli.top", module)
        monkeypatch.setattr(main, "find_spec", lambda name: name in sys.modules or None)

    return put


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out == f"wsgikit {__version__}\n"


def test_the_overview_lists_commands_that_are_there(
    command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(lambda options: 0)
    assert main.run(["--help"]) == 0
    out = capsys.readouterr().out
    assert "top" in out
    assert "A command." in out
    assert "More of it" not in out
    assert "xslt" not in out


def test_without_a_command_it_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([]) == 2
    assert "usage: wsgikit COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chekc"], "wsgikit: unknown command 'chekc'; did you mean 'check'?"),
        (["shop:app"], "wsgikit: unknown command 'shop:app'; to serve that app: wsgikit serve shop:app"),
        (["check", "cofnig"], "wsgikit check: unknown command 'cofnig'; did you mean 'config'?"),
    ],
)
def test_an_unknown_command_gets_a_hint(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_command_gets_its_options_and_gives_the_status(command: Callable[..., None]) -> None:
    command(lambda options: options.number)
    assert main.run(["top", "--number", "7"]) == 7


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--nubmer", "wsgikit top: unknown argument '--nubmer'; did you mean '--number'?"),
        ("--daemon", "wsgikit top: unknown argument '--daemon': use a supervisor"),
        ("--num=3", "wsgikit top: unknown argument '--num'"),
    ],
)
def test_an_unknown_flag_gets_a_hint(
    flag: str, message: str, command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(lambda options: 0)
    with pytest.raises(SystemExit) as left:
        main.run(["top", flag])
    assert left.value.code == 2
    assert message in capsys.readouterr().err


def raising(error: BaseException) -> Callable[..., int]:
    def run(options: object) -> int:
        raise error

    return run


@pytest.mark.parametrize("error", [ConfigError("site.toml:3: wrong"), WsgikitError("broken"), LoadError("no such")])
def test_our_errors_are_one_line(
    error: WsgikitError, command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(error))
    assert main.run(["top"]) == 2
    assert capsys.readouterr().err == f"wsgikit: {error}\n"


def test_an_app_that_raises_shows_its_traceback(
    command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    error = LoadError("importing 'shop' failed: ZeroDivisionError")
    error.__cause__ = ZeroDivisionError("in the shop")
    command(raising(error))
    assert main.run(["top"]) == 2
    assert capsys.readouterr().err == f"ZeroDivisionError: in the shop\nwsgikit: {error}\n"


def test_a_file_that_is_not_there_is_no_traceback(
    command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    error = ConfigError("--body none: No such file or directory")
    error.__cause__ = FileNotFoundError(2, "No such file or directory")
    command(raising(error))
    assert main.run(["top"]) == 2
    assert capsys.readouterr().err == f"wsgikit: {error}\n"


def test_ctrl_c_is_no_traceback(command: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    command(raising(KeyboardInterrupt()))
    assert main.run(["top"]) == 130
    assert capsys.readouterr().err == ""


def test_an_error_of_our_own_making_is_not_hidden(command: Callable[..., None]) -> None:
    command(raising(ValueError("a bug")))
    with pytest.raises(ValueError, match="a bug"):
        main.run(["top"])


def test_a_reader_that_leaves_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "wsgikit", "--help"], stdout=writing, stderr=subprocess.PIPE, timeout=20, cwd=ROOT
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_version_and_overview_import_no_room() -> None:
    heavy = "{'argparse', 'asyncio', 'email', 'http', 'inspect', 'logging', 'socket', 'ssl', 'tomllib', 'dataclasses'}"
    code = (
        "import sys; before = set(sys.modules)\n"
        "from wsgikit.__main__ import main; sys.argv = ['wsgikit', '--version']; main()\n"
        f"print(sorted((set(sys.modules) - before) & {heavy}))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=20, cwd=ROOT)
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr


ROOT = main.__file__.rpartition("/wsgikit/")[0]
