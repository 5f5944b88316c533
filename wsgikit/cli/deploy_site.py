"""What a front or a supervisor has to know of a configuration: the facts of `wsgikit deploy`, read once.

Owns which listener a front talks to, which folders it may serve by itself, and which texts may stand in a file of
somebody else's language. It must not know any of those languages.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsgikit.config import build
from wsgikit.config.resolve import Config
from wsgikit.errors import ConfigError
from wsgikit.master.address import Address, parse_address

if TYPE_CHECKING:
    from wsgikit.config.structure import MountEntry, RouteEntry, UseEntry

# What needs no quoting in any of the languages we write, and cannot end a string, a line or a block in them.
_PLAIN = re.compile(r"[A-Za-z0-9._/@:+,=~*\-\u00a1-\uffff]*")
# A front that serves a folder passes these layers by; none of them keeps anybody out or changes what a file is.
_HARMLESS = frozenset(
    (
        "access-log", "compress", "conditional", "error-pages", "proxy-headers", "request-id", "security-headers",
        "timing", "static",
    )
)  # fmt: skip
_UNIX_PEER = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Static files: the URL path they have, with a slash at its end, and the folder."""

    url: str
    directory: str
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One configuration. `place`: "127.0.0.1:9000" or the path of a Unix socket; `notes`: what a person should read."""

    name: str
    folder: str
    file: str
    wire: str
    place: str
    is_unix: bool
    hosts: tuple[str, ...]
    folders: tuple[Folder, ...]
    notes: tuple[str, ...]
    max_body: int
    keep_alive: float
    timeout: float
    graceful: float
    user: str
    program: tuple[str, ...]

    @property
    def host_port(self) -> tuple[str, str]:
        """Host and port of a TCP listener."""
        host, _, port = self.place.rpartition(":")
        return host, port

    @property
    def patience(self) -> int:
        """Seconds a front waits for an answer: a little longer than we do, so that it is us who say 504."""
        return int(self.timeout + 5) if self.timeout else 3600

    @property
    def idle(self) -> int:
        """Seconds a front keeps an unused connection: shorter than we do, so that nobody closes under a request."""
        return max(1, int(self.keep_alive * 2 / 3))

    @property
    def command(self) -> tuple[str, ...]:
        """What a supervisor runs."""
        return (*self.program, "serve", *(("--config", self.file) if self.file else ()))


def read_site(config: Config, *, wires: Iterable[str], name: str, wire: str = "") -> Site:
    """The site of a configuration, for a front that speaks `wires`; with `wire`, for that one alone.

    ConfigError: there is nothing to serve, no listener that such a front can talk to, or a name that cannot be written.
    """
    from wsgikit.cli.assemble import check_something_to_serve

    check_something_to_serve(config)
    address, notes = _listener(config, tuple(wires), wire)
    folders = _served(config, notes)
    limits = build.worker_settings(config)
    master = build.master_settings(config)
    folder = config.file.folder if config.file else os.getcwd()
    file = os.path.join(folder, os.path.basename(config.file.name)) if config.file else ""
    place = _place(address)
    return Site(
        name=plain(name or os.path.basename(folder) or "wsgikit", "the name"),
        folder=plain(folder, "the folder of the configuration"),
        file=plain(file, "the configuration's path"),
        wire=address.scheme.protocol,
        place=plain(place, "the listener"),
        is_unix=address.kind == "unix",
        hosts=_hosts(config),
        folders=folders,
        notes=tuple(notes),
        max_body=limits.max_body,
        keep_alive=limits.keep_alive,
        timeout=limits.timeout,
        graceful=master.graceful_timeout,
        user=plain(master.user, "user"),
        program=_program(),
    )


def _hosts(config: Config) -> tuple[str, ...]:
    """Names that the front is to answer for; none: all. A mount without a host answers for every name."""
    entries: list[MountEntry | RouteEntry] = [*config.mounts, *config.routes]
    if any(not entry.host for entry in entries):
        return ()
    return tuple(dict.fromkeys(plain(entry.host.partition(":")[0], "host") for entry in entries))


def _served(config: Config, notes: list[str]) -> tuple[Folder, ...]:
    """Folders that the front may serve: it knows neither our hosts nor our routes, so that these must not matter."""
    found = [(folder, mount) for mount in config.mounts for folder in _folders(mount, notes)]
    kept = []
    for folder, mount in found:
        others = [other for other in config.mounts if other is not mount]
        clash = any(
            (other.path.rstrip("/") + "/").startswith(folder.url) or folder.url.startswith(other.path.rstrip("/") + "/")
            for other in others
            if len(other.path) > len(mount.path) or other.host != mount.host
        )
        if clash or config.routes:
            why = "routes come before it" if config.routes else "another mount may be meant"
            notes.append(f"{folder.host}{folder.url} is left to wsgikit: {why}")
        else:
            kept.append(folder)
    return tuple(kept)


def plain(text: str, what: str) -> str:
    """The text, if it can stand in every file we write. ConfigError says what cannot be written."""
    if _PLAIN.fullmatch(text) is None:
        raise ConfigError(f"{what} {text!r} has characters that mean something in configuration files; rename it")
    return text


def _listener(config: Config, wires: tuple[str, ...], wanted: str) -> tuple[Address, list[str]]:
    if wanted and wanted not in wires:
        raise ConfigError(f"--wire {wanted}: this program speaks {', '.join(wires)}")
    binds = build.bind_settings(config)
    for bind in binds:
        address = parse_address(bind.address)
        secured = address.scheme.tls or (address.scheme.tls is None and bind.tls is not None)
        usable = address.kind != "fd" and not secured and not address.path.startswith("@") and address.port != 0
        usable = usable or (address.kind == "unix" and not secured and not address.path.startswith("@"))
        if usable and address.scheme.protocol in ((wanted,) if wanted else wires):
            notes: list[str] = []
            if address.scheme.protocol == "http" and not bind.trusted:
                notes.append(
                    f'wsgikit.toml needs: trusted = ["{_UNIX_PEER}"]   (else clients have the address of the front)'
                )
            if address.kind == "unix" and bind.mode is None:
                notes.append('the socket is open to its own user; for another: socket_mode = "660" and a group of both')
            return address, notes
    listed = ", ".join(bind.address for bind in binds)
    example = "fastcgi+unix:/run/shop/app.sock" if "fastcgi" in wires else "127.0.0.1:8000"
    raise ConfigError(
        f"no listener for {wanted or ' or '.join(wires)} among: {listed}; add one that this program reaches, such as "
        f'bind = ["{example}"]'
    )


def _place(address: Address) -> str:
    if address.kind == "unix":
        return address.path
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)
    return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"


def _folders(mount: MountEntry, notes: list[str]) -> Iterable[Folder]:
    """Folders of a mount that a front may serve: nothing that guards them stands in front."""
    for number, use in enumerate(mount.use):
        if use.middleware not in ("static", "wsgikit.middleware.static:Static"):
            continue
        url = (mount.path.rstrip("/") + "/" + str(use.options.get("at", "/")).strip("/")).rstrip("/") + "/"
        guards = [before.middleware for before in mount.use[:number] if before.middleware not in _HARMLESS]
        if guards or "when" in use.options or set(use.options) - {"directory", "at", "max_age", "middleware", "index"}:
            why = f"{guards[0]} stands before it" if guards else "it has options of its own"
            notes.append(f"{mount.host}{url} is left to wsgikit: {why}")
        elif url == "/":
            notes.append(f"{mount.host}/ is left to wsgikit: its files have no path of their own")
        else:
            yield Folder(url=plain(url, "path"), directory=plain(_directory(use), "directory"), host=mount.host)


def _directory(use: UseEntry) -> str:
    base = use.file.folder if use.file else os.getcwd()
    return os.path.realpath(os.path.join(base, str(use.options.get("directory", "."))))


def _program() -> tuple[str, ...]:
    """How this wsgikit is run: by its command beside the interpreter, or by the interpreter."""
    beside = os.path.join(os.path.dirname(sys.executable), "wsgikit")
    if os.access(beside, os.X_OK):
        return (plain(beside, "the path of wsgikit"),)
    return (plain(sys.executable, "the path of Python"), "-m", "wsgikit")
