"""The configuration file: which one it is, its text as TOML, and the place of a key in it.

Owns finding and reading `wsgikit.toml` and `[tool.wsgikit]` in `pyproject.toml`. It must not know what the keys mean.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wsgikit.errors import ConfigError

if TYPE_CHECKING:
    from wsgikit.config.lines import Way

OWN, SHARED = "wsgikit.toml", "pyproject.toml"
# a configuration is typed by people; whoever hands in a disk image by mistake is told so before memory is gone
LARGEST = 4 * 1024 * 1024


class File:
    """One configuration file. `top` is its own table, also where that is `[tool.wsgikit]`."""

    def __init__(self, path: str, text: str, top: dict[str, Any], prefix: tuple[str, ...] = ()) -> None:
        self.path = path
        self.text = text
        self.top = top
        self.prefix = prefix
        # once, as `chdir` changes what paths are relative to: a place has one name wherever it is told
        relative = os.path.relpath(path) if path else ""
        self.name = path if relative.startswith("..") else relative
        """How messages call the file: by the shortest path that a person can open."""

    @property
    def folder(self) -> str:
        """Where relative paths in the file start."""
        return os.path.dirname(self.path)

    def place(self, *way: str | int) -> str:
        """`wsgikit.toml:12` for a key; the line of the table around it where the key has none."""
        full: Way = (*self.prefix, *way)
        for length in range(len(full), len(self.prefix), -1):
            if full[:length] in self._lines:
                return f"{self.name}:{self._lines[full[:length]]}"
        return self.name

    @cached_property
    def _lines(self) -> dict[Way, int]:
        from wsgikit.config.lines import lines_of

        return lines_of(self.text)


def find(folder: str) -> str | None:
    """Return the path of the configuration file that belongs to a folder, or None."""
    own = os.path.join(folder, OWN)
    if os.path.isfile(own):
        return own
    shared = os.path.join(folder, SHARED)
    if os.path.isfile(shared) and _own_table(read(shared)) is not None:
        return shared
    return None


def read(path: str) -> File:
    """Read a TOML file. ConfigError names the file and, where it is not TOML, the line."""
    import tomllib

    path = os.path.abspath(path)
    try:
        with open(path, "rb") as stream:
            data = stream.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ConfigError(f"{path}: larger than {LARGEST} bytes; this is no configuration file")
        text = data.decode("utf-8").replace("\r\n", "\n")
        return File(path, text, tomllib.loads(text))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None


def open_config(path: str) -> File:
    """Read a configuration file: all of it, or `[tool.wsgikit]` where the file is a `pyproject.toml`."""
    whole = read(path)
    if os.path.basename(path) != SHARED:
        return whole
    table = _own_table(whole)
    if table is None:
        raise ConfigError(f"{path}: has no [tool.wsgikit]")
    return File(whole.path, whole.text, table, ("tool", "wsgikit"))


def _own_table(whole: File) -> dict[str, Any] | None:
    tool = whole.top.get("tool")
    table = tool.get("wsgikit") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else None
