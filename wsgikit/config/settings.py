"""Settings of the start itself: what is served and how it is found. Owned by `config`, used by `cli`.

All other options stand in the settings of the room that uses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSettings:
    """What `wsgikit serve` does before and beside serving."""

    app: str = ""
    """`pkg.mod:app`, `pkg.mod:factory()` or `pkg.mod`. Takes the place of a missing `[[mount]]`."""

    chdir: str = ""
    """Folder to work in; apps are looked for there. Empty: where the command was typed."""

    pythonpath: tuple[str, ...] = ()
    """Folders to look for modules in, before all others."""

    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Environment variables for the apps."""

    on_import_error: str = "503"
    """What one app of several does that cannot be imported at the start: "503" or "stop". See `wsgikit.cli.imports`."""

    lint: bool = False
    """Put `wsgikit.validators.Lint` around every app."""
