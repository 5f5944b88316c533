"""The argument parser of every command: argparse, with help that reads well and errors that help.

Owns the look of `--help` and of usage errors. It must not know any command.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from wsgikit.loader import nearest

USAGE = 2


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Descriptions as they are written, `-b, --bind ADDRESS` with the value once, defaults looked up when shown."""

    def __init__(self, prog: str) -> None:
        # argparse would import shutil, and with it every compression library, to look the width up
        super().__init__(prog, max_help_position=32, width=_columns() - 2)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return super()._format_action_invocation(action)
        # an alias only one person in a hundred types makes the column unreadable
        names = [name for name in action.option_strings if not name.startswith("--")] + list(action.option_strings[-1:])
        value = f" {self._format_args(action, action.dest.upper())}" if action.nargs != 0 else ""
        return ", ".join(names) + value

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = getattr(action, "shown_default", None)
        text = default() if default else ""
        return f"{action.help} [{text}]".replace("[]", "").rstrip() if text else action.help


class Parser(argparse.ArgumentParser):
    """argparse's parser; flags are never abbreviated, so that a script keeps its meaning when options are added."""

    def __init__(self, *, prog: str, description: str, hints: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(prog=prog, description=description, formatter_class=HelpFormatter, allow_abbrev=False, **more)
        self.hints = dict(hints or {})

    def error(self, message: str) -> NoReturn:
        """Say on one line what is wrong, with the nearest flag, and leave with status 2."""
        unknown = re.match(r"unrecognized arguments: (\S+)", message)
        if unknown:
            flag = unknown[1].partition("=")[0]
            hint = self.hints.get(flag)
            near = "" if hint else nearest(flag, self._option_string_actions)
            # a command's hint for flags that are near to none of its own
            hint = hint or ("" if near else self.hints.get("", ""))
            message = f"unknown argument {flag!r}" + (f": {hint}" if hint else near)
        sys.stderr.write(f"{self.prog}: {message}\nsee {self.prog} --help\n")
        raise SystemExit(USAGE)


def _columns() -> int:
    """Width of the terminal, within what can be read."""
    try:
        columns = int(os.environ["COLUMNS"]) if "COLUMNS" in os.environ else os.get_terminal_size().columns
    except (OSError, ValueError):
        return 80
    return min(max(columns, 60), 120)
