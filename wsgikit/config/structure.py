"""The tables of the file: mounts, what is used around them, routes, upstreams, worker groups, certificates.

Owns their keys and the entries they become. It must not know what a middleware or a balancer accepts: the keys that
it leaves open are kept as they are, with their place, for whoever builds the thing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wsgikit.config.kinds import Choice, FilePath, Flag, Kind, Several, Text

if TYPE_CHECKING:
    from wsgikit.config.file import File


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A table of the file. `place()` says where it stands, for messages of those who use it.

    `sound`: False where a mistake in it has been noted already, so that nobody looks for what follows from that.
    """

    file: File | None = None
    way: tuple[str | int, ...] = ()
    sound: bool = True

    def place(self, *more: str | int) -> str:
        """`wsgikit.toml:12` for the table or a key in it."""
        return self.file.place(*self.way, *more) if self.file else "command line"


@dataclass(frozen=True, kw_only=True)
class UseEntry(Entry):
    """`[[mount.use]]`: one middleware; `options` are not checked yet."""

    middleware: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MountEntry(Entry):
    """`[[mount]]`: an app, an upstream, or middleware that needs none, at a host and path. `host` empty: every host."""

    path: str = "/"
    host: str = ""
    app: str = ""
    upstream: str = ""
    group: str = ""
    name: str = ""
    strip: bool = True
    lazy: bool = False
    body: str = ""
    use: tuple[UseEntry, ...] = ()

    @property
    def url(self) -> str:
        """Host and path as one text: `shop.example/blog`, `/blog`."""
        return self.host + self.path


@dataclass(frozen=True, kw_only=True)
class RouteEntry(Entry):
    """`[[route]]`: a rule in Werkzeug's syntax and where it leads."""

    rule: str
    host: str = ""
    methods: tuple[str, ...] = ()
    name: str = ""
    slash: str = "exact"
    prefix: bool = False
    strip: bool | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    app: str = ""
    upstream: str = ""
    body: str = ""
    use: tuple[UseEntry, ...] = ()

    @property
    def url(self) -> str:
        """Methods, host and rule as one text: `GET shop.example/item/<int:id>`, `/blog`."""
        return f"{','.join(self.methods)} {self.host}{self.rule}".lstrip()


@dataclass(frozen=True, kw_only=True)
class UpstreamEntry(Entry):
    """`[upstream.NAME]`: servers to forward to; `options` is the whole table, not checked yet."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class GroupEntry(Entry):
    """`[group.NAME]`: workers of their own; `values` holds the options that differ."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)


class Table(Kind):
    """Any table."""

    @property
    def allowed(self) -> str:
        return "a table: { name = value }"

    def from_toml(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError  # noqa: TRY004 - the one error of a kind
        return value


class MountPath(Kind):
    """Where an app is mounted. Its dots and double slashes would never match what a client asks for."""

    @property
    def allowed(self) -> str:
        return "a path, not percent-encoded, that starts with '/', without '//' and without '.' and '..' in it"

    def from_toml(self, value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(r"/(?:[^/\0?#]+(?:/[^/\0?#]+)*/?)?", value):
            raise ValueError
        if any(part in (".", "..") for part in value.split("/")) or re.search(r"%[0-9A-Fa-f]{2}", value):
            raise ValueError
        return value.rstrip("/") or "/"


class HostName(Kind):
    """A host as clients write it into the Host field; `*.` in front stands for every name below.

    `port`: it may say which port the client asked for.
    """

    def __init__(self, *, port: bool = False) -> None:
        self.port = port

    @property
    def allowed(self) -> str:
        if self.port:
            return "a host name such as 'shop.example', '*.shop.example' or 'shop.example:8080'"
        return "a host name without port, such as 'shop.example' or '*.shop.example'"

    def from_toml(self, value: Any) -> str:
        name = r"((?:\*\.)?[^\s/:@*?#\[\]]+|\[[0-9A-Fa-f:.]+\]|)(:[1-9][0-9]{0,4})?"
        match = re.fullmatch(name, value) if isinstance(value, str) else None
        if match is None or (match[2] and not (self.port and match[1])):
            raise ValueError
        return match[1].rstrip(".").lower() + (match[2] or "")


@dataclass(frozen=True)
class Key:
    """A key of a table."""

    name: str
    kind: Kind
    help: str
    required: bool = False


_SPEC = Text("the name of an object: package.module:name", empty=False)
_SPEC_HELP = "`package.module:name`, `package.module:factory()`, a Paste file, or `egg:Project#name`"
_NAME = Text("a name", empty=False)
_BODY = Key(
    "body",
    Choice(("spool", "stream")),
    "How its request bodies are read; else as the option `body` says, and streamed where they are forwarded",
)

USE_KEYS = (
    Key(
        "middleware",
        Text("a middleware: its short name, or package.module:factory", empty=False),
        "What to put around the app; all other keys are its options",
        required=True,
    ),
)
MOUNT_KEYS = (
    Key("path", MountPath(), "First segments of the URLs that go to the app"),
    Key("host", HostName(port=True), "Host the app is for; every host when it is not given"),
    Key("app", _SPEC, _SPEC_HELP),
    Key("upstream", _NAME, "In place of `app`: forward to `[upstream.NAME]`"),
    Key("group", _NAME, "Run the app in the workers of `[group.NAME]`"),
    Key("name", _NAME, "Name in the logs, in place of host and path"),
    Key("strip", Flag(), "Move the path from PATH_INFO to SCRIPT_NAME, as WSGI apps expect"),
    Key("lazy", Flag(), "Import the app at its first request"),
    _BODY,
)
ROUTE_KEYS = (
    Key(
        "rule",
        Text("a rule such as '/api/<path:rest>'", empty=False),
        "URL pattern, in Werkzeug's syntax",
        required=True,
    ),
    Key("host", HostName(port=True), "Host the rule is for; every host when it is not given"),
    Key("methods", Several(Text("a method", empty=False)), "Methods the rule is for; all when none is given"),
    Key("name", _NAME, "Name for building URLs, for logs and metrics"),
    Key("slash", Choice(("exact", "redirect", "both")), "What a missing or an additional slash at the end does"),
    Key("prefix", Flag(), "The rule stands for itself and everything below it"),
    Key("strip", Flag(), "Move what the rule consumed to SCRIPT_NAME; an upstream gets the URL as it came, unless set"),
    Key("defaults", Table(), "Values for variables that the rule does not have"),
    Key("app", _SPEC, _SPEC_HELP),
    Key("upstream", _NAME, "In place of `app`: forward to `[upstream.NAME]`"),
    _BODY,
)
TLS_KEYS = (
    Key("names", Several(HostName()), "Hosts the certificate is for (SNI); without names it is the default"),
    Key("cert", FilePath(must="file"), "Certificate chain, PEM", required=True),
    Key("key", FilePath(must="file"), "Private key, PEM; without it, in the certificate's file"),
    Key("password", Text(), "Password of an encrypted private key"),
)
