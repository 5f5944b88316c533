"""The tree, built once for all packaging tests, and environments to install it into. Nothing touches the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "results", ".coverage*"
)


@dataclass(frozen=True)
class Built:
    """A copy of the tree, and what was built from it."""

    tree: Path
    wheel: Path
    sdist: Path


@dataclass(frozen=True)
class Environment:
    """A virtual environment without pip; `pip` and what builds need are borrowed from ours."""

    folder: Path
    borrowed: Path

    def pip_install(self, *arguments: str) -> None:
        run(
            [self.folder / "bin/python", "-m", "pip", "install", "-q", "--no-deps", "--no-index", *arguments],
            {"PYTHONPATH": str(self.borrowed), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        )

    def python(self, code: str, cwd: Path) -> str:
        return run([self.folder / "bin/python", "-c", code], {"PYTHONSAFEPATH": "1"}, cwd)


def run(command: Sequence[str | Path], env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_", "VIRTUAL"))}
    done = subprocess.run(
        [str(part) for part in command], env=own | (env or {}), cwd=cwd, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{command} left with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    tree, out = folder / "tree", folder / "dist"
    shutil.copytree(ROOT, tree, symlinks=True, ignore=LEFT_OUT)
    # the wheel is built from the sdist, as an index user's pip would; the sdist has no symlinks
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, tree], cwd=folder)
    return Built(tree, next(out.glob("*.whl")), next(out.glob("*.tar.gz")))


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Environment]:
    folder = tmp_path_factory.mktemp("environments")
    borrowed = folder / "borrowed"
    borrowed.mkdir()
    ours = Path(sysconfig.get_path("purelib"))
    for pattern in ("pip", "pip-*", "setuptools", "setuptools-*", "_distutils_hack", "wheel", "wheel-*", "packaging*"):
        for found in ours.glob(pattern):
            (borrowed / found.name).symlink_to(found)

    def make(name: str) -> Environment:
        run([sys.executable, "-m", "venv", "--without-pip", folder / name])
        return Environment(folder / name, borrowed)

    return make


@pytest.fixture(scope="session")
def from_wheel(built: Built, environment: Callable[[str], Environment]) -> Environment:
    """The wheel and nothing else: none of the libraries it depends on."""
    installed = environment("wheel")
    installed.pip_install(str(built.wheel))
    return installed
