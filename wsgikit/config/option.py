"""One option: its name, kind, home and help. Everything else about it follows from these.

The default stands in the frozen settings object of the room that uses the option and nowhere else. It is read from
there when somebody asks, so that `wsgikit --version` imports no room.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from wsgikit.config.kinds import Flag, Kind


class Option:
    """One row of the options table.

    `name` is the key in `wsgikit.toml`; with dashes the flag, and as WSGIKIT_NAME the environment variable.
    `home` is the settings object ("module:Class") and `attribute` its field: `field`, where that has another name.
    `flags` are further spellings on the command line, `variables` further environment variables.
    `inner`: the option may also stand in `[group.NAME]`, for the workers of that group alone.
    """

    __slots__ = ("attribute", "flags", "help", "home", "inner", "kind", "name", "section", "variables")

    def __init__(
        self,
        *,
        name: str,
        kind: Kind,
        home: str,
        section: str,
        help: str,  # noqa: A002 - what argparse calls it, too
        field: str = "",
        flags: tuple[str, ...] = (),
        variables: tuple[str, ...] = (),
        inner: bool = False,
    ) -> None:
        self.name = name
        self.kind = kind
        self.home = home
        self.section = section
        self.help = help
        self.attribute = field or name
        self.flags = flags
        self.variables = variables
        self.inner = inner

    @property
    def default(self) -> Any:
        """The default of the settings object; "" where a field has none."""
        import dataclasses

        found = {field.name: field for field in dataclasses.fields(settings_class(self.home))}[self.attribute]
        if found.default_factory is not dataclasses.MISSING:
            return found.default_factory()
        return "" if found.default is dataclasses.MISSING else found.default

    @property
    def spellings(self) -> tuple[str, ...]:
        """All flags, short ones first."""
        names = (*self.flags, "--" + self.name.replace("_", "-"))
        return tuple(dict.fromkeys(sorted(names, key=lambda name: name.startswith("--"))))

    @property
    def variable(self) -> str:
        """The environment variable."""
        return "WSGIKIT_" + self.name.upper()

    @property
    def repeats(self) -> bool:
        """Whether the flag may be given several times, each adding a value."""
        return self.kind.repeats

    @property
    def switch(self) -> bool:
        """Whether the flag takes no value."""
        return isinstance(self.kind, Flag)


@cache
def settings_class(home: str) -> Any:
    """Import the settings class of a room by its "module:Class"."""
    module, _, name = home.partition(":")
    return getattr(import_module(module), name)
