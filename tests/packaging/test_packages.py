"""What an installation holds, and that it works away from the checkout, also without the libraries it may use."""

from __future__ import annotations

import re
import subprocess
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wsgikit.testing import RawClient, ServerProcess

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "wsgikit": ROOT / "wsgikit",
    "wsgikit.middleware": ROOT / "middleware",
    "wsgikit.validators": ROOT / "validators",
}
IMPORTS = "import wsgikit.loader, wsgikit.middleware, wsgikit.validators; print(wsgikit.middleware.__file__)"

pytestmark = pytest.mark.slow


def tree_modules() -> set[str]:
    """Every module of the tree by the path it must have in a wheel."""
    found = set()
    for package, folder in FOLDERS.items():
        for module in folder.rglob("*.py"):
            inner = module.relative_to(folder)
            if package != "wsgikit" or inner.parts[0] not in ("middleware", "validators"):
                found.add("/".join([*package.split("."), *inner.parts]))
    return found


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {Path(module).parent for module in tree_modules()}
    assert {str(folder) for folder in folders if f"{folder}/__init__.py" not in tree_modules()} == set()


def test_the_links_for_tools_lead_to_the_folders() -> None:
    for name in ("middleware", "validators"):
        link = ROOT / "wsgikit" / name
        # an sdist has no link, and a checkout without symlinks (Windows) a text file; a folder would be a second copy
        assert not link.is_dir() or link.readlink() == Path("..", name)


def test_the_wheel_holds_our_packages_whole_and_nothing_else(built: Any) -> None:
    names = set(zipfile.ZipFile(built.wheel).namelist())
    info = {name for name in names if name.partition("/")[0].endswith(".dist-info")}
    data = names - info
    assert {name.partition("/")[0] for name in data} == {"wsgikit"}
    assert {name for name in data if name.endswith(".py")} == tree_modules()
    assert "wsgikit/py.typed" in data
    assert built.wheel.name.endswith("-py3-none-any.whl")


def test_the_sdist_holds_what_a_developer_needs(built: Any) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = [
        "Makefile", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "pyproject.toml", "setup.py", ".ci/run",
        "tests/conftest.py", "tests/packaging/test_packages.py", "examples/demo/wsgikit.toml", "docs/options.md",
        "docs/generate.py", "middleware/__init__.py", "validators/__init__.py",
    ]  # fmt: skip
    assert [name for name in wanted if name not in names] == []
    assert [name for name in names if name.endswith((".pyc", ".so")) or ".venv" in name] == []


def test_a_wheel_imports_from_another_directory(from_wheel: Any, tmp_path: Path) -> None:
    assert str(from_wheel.folder) in from_wheel.python(IMPORTS, tmp_path)


def test_an_editable_install_imports_from_another_directory(
    built: Any, environment: Callable[[str], Any], tmp_path: Path
) -> None:
    installed = environment("editable")
    installed.pip_install("--no-build-isolation", "-e", str(built.tree))
    # the finder, or the link in wsgikit/: both lead to the same file
    imported = Path(installed.python(IMPORTS, tmp_path).strip())
    assert imported.samefile(built.tree / "middleware" / "__init__.py")
    generic = "import importlib.util as u; print([n for n in ('middleware', 'validators') if u.find_spec(n)])"
    assert installed.python(generic, tmp_path).strip() == "[]"


def test_without_the_libraries_it_depends_on_the_server_runs(from_wheel: Any, tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Length', '2')])\n"
        "    return [b'ok']\n"
    )
    command = [str(from_wheel.folder / "bin/wsgikit"), "serve", "--bind", "{host}:{port}", "bare:app"]
    with ServerProcess(command, cwd=tmp_path) as server, RawClient(server.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.read_until_close().endswith(b"\r\n\r\nok")


def test_without_the_libraries_the_checks_are_there(from_wheel: Any, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from wsgikit.validators import Lint\n"
        "from wsgikit.cli import main, check_server\n"
        "print(sorted({'werkzeug', 'webob', 'lxml', 'rich'} & set(sys.modules)))\n"
    )
    assert from_wheel.python(code, tmp_path).strip() == "[]"


def test_without_the_libraries_a_server_is_checked(from_wheel: Any, tmp_path: Path) -> None:
    wsgikit = str(from_wheel.folder / "bin/wsgikit")
    command = [wsgikit, "check", "server", "--select", "S14", "--", wsgikit, "serve", "{app}", "-b", "{host}:{port}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 PASS" in done.stdout


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('rule = "/a/<int:x>"\napp = "bare:app"', "wsgikit.toml:1: .* pip install werkzeug .*"),
        ('rule = "/a"\napp = "some.ini"', "wsgikit.toml:3: .* pip install PasteDeploy"),
        ('rule = "/a"\nuse = [{ middleware = "static", directory = "." }]', "wsgikit.toml:3: .* pip install werkzeug"),
        (
            'rule = "/a"\nupstream = "u"\n[upstream.u]\ndiscover = "dns:a:80"',
            "wsgikit.toml:5: .* pip install dnspython",
        ),
    ],
)
def test_a_missing_library_is_one_line(from_wheel: Any, tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "bare.py").write_text("def app(environ, start_response): ...\n")
    (tmp_path / "some.ini").write_text("[app:main]\n")
    (tmp_path / "wsgikit.toml").write_text(f"[[route]]\n{table}\n")
    command = [str(from_wheel.folder / "bin/wsgikit"), "check", "config"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert re.fullmatch(f"wsgikit: {message}\n", done.stderr)


def test_the_project_is_described_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"
    assert project["dynamic"] == ["version"]
    assert f"pip install {project['name']}\n" not in (ROOT / "README.md").read_text()
