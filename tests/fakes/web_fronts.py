"""Web servers from the system, started by the configuration files of examples/deploy in a folder and on ports of a
test's own. Never the system's services."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from wsgikit.testing import accepts, free_port

DEPLOY = Path(__file__).parents[2] / "examples" / "deploy"
PACKAGE = Path(__file__).parents[2] / "wsgikit"
# What the files say, by what it is for.
PORTS = {"front": "8080", "http": "8000", "fastcgi": "9000", "scgi": "4000", "uwsgi": "3031"}
FOLDER = "/srv/shop"
WIRES = ("http", "fastcgi", "scgi", "uwsgi")
FILES = [
    *(f"{server}-{wire}.conf" for server in ("nginx", "apache", "lighttpd") for wire in WIRES),
    "apache-cgi.conf",
    "apache-fcgid.conf",
    "lighttpd-cgi.conf",
    "haproxy-http.cfg",
    "haproxy-fastcgi.cfg",
]
_PORT = re.compile(rf'(:|"port" => |server\.port = |Port" => ")({"|".join(PORTS.values())})\b')

_COMMANDS = {
    "nginx": ["nginx", "-p", "{folder}", "-c", "{file}", "-g", "daemon off;"],
    "apache": ["apache2", "-d", "{folder}", "-f", "{file}", "-DFOREGROUND"],
    "lighttpd": ["lighttpd", "-D", "-f", "{file}"],
    "haproxy": ["haproxy", "-db", "-f", "{file}"],
}


def program(name: str) -> str | None:
    """Where a program is; it may be in a folder that only root has on its path."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin")


def missing(file: str) -> str:
    """Why the front of a configuration file cannot be started here; "" when it can."""
    name = _COMMANDS[file.partition("-")[0]][0]
    if "-fcgid." in file and not os.path.exists("/usr/lib/apache2/modules/mod_fcgid.so"):
        return "mod_fcgid is not installed"
    if starts_programs(file) and not programs(file, "app"):
        return "no interpreter that other users may run"
    return "" if program(name) else f"{name} is not installed"


def public_folder() -> Path:
    """A new folder that every user may see: servers that root starts give their rights up, and pytest's own folders are
    closed to others."""
    shared = "/tmp" if os.path.isdir("/tmp") else None
    folder = Path(tempfile.mkdtemp(prefix="wsgikit-front-", dir=shared))
    folder.chmod(0o755)
    return folder


class Front:
    """A web server in the foreground. `port` is where it listens, `folder` stands for /srv/shop in its file.

    The folder is readable by everybody: servers started by root give their rights up.
    """

    def __init__(
        self, file: str, ports: Mapping[str, int], *, scripts: Mapping[str, str] | None = None, port: int = 0
    ) -> None:
        self.file = file
        self.port = port or free_port()
        self.folder = public_folder()
        self._ports = {"front": self.port, **ports}
        self._scripts = dict(scripts or {})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        for name, text in self._scripts.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        config = self.folder / self.file
        config.write_text(self.text())
        command = _COMMANDS[self.file.partition("-")[0]]
        found = [part.format(folder=self.folder, file=config) for part in command]
        found[0] = program(found[0]) or found[0]
        with (self.folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                found, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.folder, start_new_session=True
            )
        deadline = time.monotonic() + 15
        while not accepts(("127.0.0.1", self.port)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.file} does not start:\n{self.logs()}")
            time.sleep(0.02)

    def text(self) -> str:
        """The file, with this test's ports and folder in place of those in it."""
        text = (DEPLOY / self.file).read_text()
        new = {PORTS[name]: str(number) for name, number in self._ports.items()}
        text = _PORT.sub(lambda match: match[1] + new.get(match[2], match[2]), text)
        return text.replace(FOLDER, str(self.folder))

    def logs(self) -> str:
        """What the server has printed and logged."""
        names = ("output", "error.log")
        return "\n".join(
            (self.folder / name).read_text("utf-8", "replace") for name in names if (self.folder / name).exists()
        )

    def has_crashed(self) -> bool:
        """Whether a fault of its own has ended it: that takes a moment longer than its connections."""
        if self._process is None:
            return False
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        return self._process.returncode == -signal.SIGSEGV

    def stop(self) -> None:
        process = self._process
        if process is not None:
            # Nothing is lost with these processes, and some of them take seconds to leave by themselves.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def starts_programs(file: str) -> bool:
    """Whether the web server starts the app itself, below /shop."""
    return "-cgi." in file or "-fcgid." in file


def programs(file: str, app: str, *environment: str) -> dict[str, str]:
    """The program that such a server starts, which finds app and wsgikit beside itself: servers that root starts run it
    as somebody who may not see root's folders. {} where there is no interpreter that others may run."""
    if not starts_programs(file):
        return {}
    candidates = (os.path.realpath(sys.executable), "/usr/bin/python3")
    python = next((path for path in candidates if _is_public(path)), "")
    cgi = " ".join(["#!/usr/bin/env -S", *environment, python, "-m wsgikit cgi", app])
    start = f"exec {python} -m wsgikit serve --config '' --bind fastcgi+fd://0 --workers 1 {app}"
    fcgid = "\n".join(["#!/bin/sh", *(f"export {setting}" for setting in environment), start])
    name, text = ("cgi-bin/shop.cgi", cgi) if "-cgi." in file else ("programs/shop.fcgi", fcgid)
    return {name: f"{text}\n"} if python else {}


def _is_public(path: str) -> bool:
    places = [Path(path), *Path(path).parents]
    return all(place.exists() and place.stat().st_mode & 0o001 for place in places)


def copy_for_scripts(folder: Path, *more: Path) -> None:
    """Put wsgikit, and what an app needs besides, where scripts of `folder` find it and every user may read it."""
    place = next(folder.glob("*/shop.*")).parent
    for path in (PACKAGE, *more):
        if path.is_dir():
            shutil.copytree(path, place / path.name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, place)


def cgi_script(app: str, *folders: str) -> str:
    """A script of one line that runs an app as a CGI program, with this interpreter."""
    options = " ".join(f"--pythonpath {folder}" for folder in folders)
    return f"#!/usr/bin/env -S {sys.executable} -m wsgikit cgi {options} {app}\n"
