"""The kind of `bind`: addresses to listen on, each a text, or in a file a table with options of its own.

What an address means, the master knows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, ClassVar

from wsgikit.config.kinds import Kind
from wsgikit.config.option import Option
from wsgikit.errors import ConfigError
from wsgikit.loader import nearest


class Listen(Kind):
    """A list of listeners, each as the fields of its settings: `address`, and what `options` add."""

    metavar: ClassVar[str] = "ADDRESS"
    repeats: ClassVar[bool] = True

    def __init__(self, options: Iterable[Option] = ()) -> None:
        self.options = {option.name: option for option in options}

    @property
    def allowed(self) -> str:
        return "an address, or a list of addresses and tables: { address = 'unix:/run/app.sock', socket_mode = '660' }"

    def from_text(self, text: str) -> tuple[dict[str, Any], ...]:
        return tuple(self._one(part) for part in text.split(",") if part)

    def from_toml(self, value: Any) -> tuple[dict[str, Any], ...]:
        several = value if isinstance(value, (list, tuple)) else [value]
        if not several:
            raise ValueError
        return tuple(self._one(part) for part in several)

    def located(self, value: Any, base: str) -> Any:
        return tuple({**bind, "address": _located(bind["address"], base)} for bind in value)

    def show(self, value: Any) -> str:
        several = [value] if isinstance(value, str) else [bind["address"] for bind in value]
        return ", ".join(several)

    def _one(self, value: Any) -> dict[str, Any]:
        table = {"address": value} if isinstance(value, str) else value
        if not isinstance(table, dict) or not isinstance(table.get("address"), str) or not table["address"]:
            raise ValueError
        from wsgikit.master.address import parse_address

        try:
            parse_address(table["address"])
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return {"address": table["address"]} | {
            self._option(name).attribute: self._checked(name, inner)
            for name, inner in table.items()
            if name != "address"
        }

    def _checked(self, name: str, value: Any) -> Any:
        kind = self._option(name).kind
        try:
            return kind.from_toml(value)
        except ValueError as error:
            raise ValueError(f"{name} must be {str(error) or kind.allowed}") from None

    def _option(self, name: str) -> Option:
        if name not in self.options:
            raise ValueError(f"unknown key {name!r} in a listener{nearest(name, self.options)}")
        return self.options[name]


def _located(address: str, base: str) -> str:
    """A Unix socket's relative path starts where other relative paths do."""
    match = re.fullmatch(r"((?:[A-Za-z][A-Za-z0-9]*\+)?unix:(?://)?)([^/@].*)", address)
    return address if match is None else match[1] + os.path.normpath(os.path.join(base, match[2]))
