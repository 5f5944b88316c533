"""What a value may be: one small class a kind of option.

A kind turns text (command line, environment) and TOML values into what the settings want, says in words what is
allowed, and writes a value back as a person would. It must not know any option, and where a value came from.
Plain classes, because a dozen dataclasses would cost every start some milliseconds. ValueError carries a reason that
reads after `name = value: `; an empty one means "say what is allowed".
"""

from __future__ import annotations

import os
import re
from typing import Any, ClassVar

# compiled on first use: most starts read no number at all
_NUMBER = r"[+-]?[0-9]+(?:_[0-9]+)*"
_QUANTITY = r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)"
_SECONDS = {"": 1.0, "us": 1e-6, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_BYTES |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40, "k": 2**10, "m": 2**20, "g": 2**30}
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")
# TCP ports, sizes and counts all fit; what is larger is a slip of the keyboard
_HIGHEST = 2**62


class Kind:
    """Base of all kinds."""

    metavar: ClassVar[str] = "TEXT"
    # whether the flag may be given several times, each adding a value
    repeats: ClassVar[bool] = False

    @property
    def allowed(self) -> str:
        """What is allowed, in words that complete "must be ..."."""
        return "text"

    @property
    def typed(self) -> str:
        """What stands for the value in `--help`."""
        return self.metavar

    def from_text(self, text: str) -> Any:
        """Read what a person typed or put into the environment. ValueError when it is not allowed."""
        return self.from_toml(text)

    def from_toml(self, value: Any) -> Any:
        """Check a value of a TOML file or a Python call. ValueError when it is not allowed."""
        raise NotImplementedError

    def located(self, value: Any, base: str) -> Any:
        """Make what is relative in a value (a path) start at the folder `base`."""
        return value

    def show(self, value: Any) -> str:
        """Write a value as a person would: `30s`, `512KiB`; nothing for an empty one."""
        return str(value)


class Text(Kind):
    """Any text on one line."""

    def __init__(self, what: str = "text on one line", *, empty: bool = True) -> None:
        self.what = what
        self.empty = empty

    @property
    def allowed(self) -> str:
        return self.what

    def from_toml(self, value: Any) -> str:
        if not isinstance(value, str) or "\n" in value or "\0" in value or not (value or self.empty):
            raise ValueError
        return value


class Choice(Kind):
    """One word of a few."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words

    @property
    def allowed(self) -> str:
        return "one of " + ", ".join(repr(word) for word in self.words)

    @property
    def typed(self) -> str:
        return "|".join(word for word in self.words if word)

    def from_toml(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise ValueError
        return value


class Integer(Kind):
    """A whole number; `word` stands for "choose yourself" where there is one."""

    metavar: ClassVar[str] = "N"

    def __init__(self, low: int = 0, high: int = _HIGHEST, word: str = "") -> None:
        self.low = low
        self.high = high
        self.word = word

    @property
    def allowed(self) -> str:
        bounds = f"from {self.low} to {self.high}" if self.high < _HIGHEST else f"of {self.low} or more"
        return f"a whole number {bounds}" + (f", or {self.word!r}" if self.word else "")

    def from_text(self, text: str) -> int | str:
        return self.from_toml(int(text) if re.fullmatch(_NUMBER, text) else text)

    def from_toml(self, value: Any) -> int | str:
        if self.word and isinstance(value, str) and value == self.word:
            return self.word
        if type(value) is not int or not self.low <= value <= self.high:
            raise ValueError
        return value


class Flag(Kind):
    """Yes or no."""

    metavar: ClassVar[str] = ""

    @property
    def allowed(self) -> str:
        return "true or false"

    def from_text(self, text: str) -> bool:
        word = text.lower()
        if word not in _TRUE and word not in _FALSE:
            raise ValueError
        return word in _TRUE

    def from_toml(self, value: Any) -> bool:
        if type(value) is not bool:
            raise ValueError
        return value

    def show(self, value: Any) -> str:
        return "true" if value else "false"


class Duration(Kind):
    """A time, in seconds."""

    metavar: ClassVar[str] = "TIME"

    def __init__(self, low: float = 0.0) -> None:
        self.low = low

    @property
    def allowed(self) -> str:
        least = f" of {self.low:g} or more" if self.low else ""
        return f"a number of seconds{least}, or a time such as '500ms', '30s', '5m', '1h'"

    def from_toml(self, value: Any) -> float:
        if isinstance(value, str):
            value = _quantity(value, _SECONDS)
        if type(value) not in (int, float) or not self.low <= value < _HIGHEST:
            raise ValueError
        return float(value)

    def show(self, value: Any) -> str:
        for unit, factor in (("h", 3600), ("m", 60)):
            if value >= factor and value % factor == 0:
                return f"{value / factor:g}{unit}"
        return f"{value * 1000:g}ms" if 0 < value < 1 else f"{value:g}s"


class Size(Kind):
    """A number of bytes."""

    metavar: ClassVar[str] = "SIZE"

    def __init__(self, low: int = 0) -> None:
        self.low = low

    @property
    def allowed(self) -> str:
        least = f" of {self.low} or more" if self.low else ""
        return f"a number of bytes{least}, or a size such as '64KiB', '200MiB'"

    def from_toml(self, value: Any) -> int:
        if isinstance(value, str):
            value = int(_quantity(value, _BYTES))
        if type(value) is not int or not self.low <= value <= _HIGHEST:
            raise ValueError
        return value

    def show(self, value: Any) -> str:
        for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
            if value >= factor and value % factor == 0:
                return f"{value // factor}{unit}"
        return str(value)


class Mode(Kind):
    """Permission bits, in octal."""

    metavar: ClassVar[str] = "MODE"

    @property
    def allowed(self) -> str:
        return "permission bits in octal, such as '022' (TOML also 0o022)"

    def from_toml(self, value: Any) -> int:
        if isinstance(value, str):
            if not re.fullmatch(r"(?:0o)?[0-7]{1,4}", value):
                raise ValueError
            value = int(value.removeprefix("0o"), 8)
        if type(value) is not int or not 0 <= value <= 0o7777:
            raise ValueError
        return value

    def show(self, value: Any) -> str:
        return f"{value:03o}"


class FilePath(Kind):
    """A path; `words` are values that are no path. `must` is "file" or "folder" for what has to be there."""

    metavar: ClassVar[str] = "PATH"

    def __init__(self, words: tuple[str, ...] = (), *, must: str = "") -> None:
        self.words = words
        self.must = must

    @property
    def allowed(self) -> str:
        there = f"the path of a {self.must} that is there" if self.must else "a path"
        return ", ".join([*(repr(word) for word in self.words), there]).replace(f", {there}", f" or {there}")

    def from_toml(self, value: Any) -> str:
        if not isinstance(value, str) or "\0" in value or "\n" in value:
            raise ValueError
        return value

    def located(self, value: Any, base: str) -> Any:
        if not value or value in self.words:
            return value
        path = os.path.normpath(os.path.join(base, os.path.expanduser(value)))
        if self.must == "file" and (not os.path.exists(path) or os.path.isdir(path)):
            raise ValueError(f"there is no file {path}")
        if self.must == "folder" and not os.path.isdir(path):
            raise ValueError(f"there is no folder {path}")
        return path


class Network(Kind):
    """An IP address, or a network as CIDR."""

    metavar: ClassVar[str] = "NETWORK"

    @property
    def allowed(self) -> str:
        return "an IP address or network, such as '10.0.0.0/8' or '::1'"

    def from_toml(self, value: Any) -> str:
        from ipaddress import ip_network

        if not isinstance(value, str):
            raise ValueError  # noqa: TRY004 - the one error of a kind
        ip_network(value, strict=False)
        return value


class Several(Kind):
    """A list; typed as one text, its values are separated by commas."""

    repeats: ClassVar[bool] = True

    def __init__(self, each: Kind) -> None:
        self.each = each

    @property
    def typed(self) -> str:
        return self.each.typed

    @property
    def allowed(self) -> str:
        return f"a list of values, each {self.each.allowed}"

    def from_text(self, text: str) -> tuple[Any, ...]:
        return tuple(self.each.from_text(part) for part in text.split(",") if part)

    def from_toml(self, value: Any) -> tuple[Any, ...]:
        if isinstance(value, str):
            return (self.each.from_toml(value),)
        if not isinstance(value, (list, tuple)):
            raise ValueError  # noqa: TRY004 - the one error of a kind
        return tuple(self.each.from_toml(part) for part in value)

    def located(self, value: Any, base: str) -> Any:
        return tuple(self.each.located(part, base) for part in value)

    def show(self, value: Any) -> str:
        return ", ".join(self.each.show(part) for part in value)


class Pairs(Kind):
    """NAME=VALUE pairs; a table in TOML."""

    metavar: ClassVar[str] = "NAME=VALUE"
    repeats: ClassVar[bool] = True

    @property
    def allowed(self) -> str:
        return "NAME=VALUE, in a file a table of texts: { NAME = 'value' }"

    def from_text(self, text: str) -> dict[str, str]:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError
        return self.from_toml({name: value})

    def from_toml(self, value: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            raise ValueError  # noqa: TRY004 - the one error of a kind
        for name, text in value.items():
            if not name or "=" in name or not isinstance(text, str) or "\0" in name + text:
                raise ValueError
        return dict(value)

    def show(self, value: Any) -> str:
        return ", ".join(f"{name}={text}" for name, text in value.items())


def _quantity(text: str, units: dict[str, Any]) -> float:
    match = re.fullmatch(_QUANTITY, text)
    factor = units.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise ValueError
    # an integer stays exact: 2**53 + 1 bytes are a size, too
    return (float(match[1]) if "." in match[1] else int(match[1])) * factor  # type: ignore[no-any-return]
