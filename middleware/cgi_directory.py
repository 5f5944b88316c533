"""A folder of CGI programs (RFC 3875) as an app: scripts in any language beside Python apps.

    app = CGIDirectory(None, directory="/srv/cgi-bin", at="/cgi-bin")
    Stack(app, [Use(CGIDirectory, directory="/srv/cgi-bin", at="/cgi-bin")])         # the rest goes to the app

    [[mount.use]]
    middleware = "cgi-directory"
    directory = "/srv/cgi-bin"
    at = "/cgi-bin"

Options
    directory       the folder (needed). Every file in it and below that may be executed is a program
    at              URL path of the folder ("/")
    interpreters    ending -> program that runs such files: { ".pl" = "/usr/bin/perl" }; they need not be
                    executable ({})
    index           program that stands for a folder (""): none
    timeout         how long a program may take to its first output, and from output to output ("25s")
    lifetime        how long it may take altogether ("5m")
    grace           how long it has from TERM to KILL ("2s")
    processes       programs at once in a worker; one more is answered 503. All workers together: put Concurrency
                    around (16)
    memory          virtual memory of a process ("0": no limit). Linux only, as are the next two
    cpu             CPU time of a process ("0": no limit)
    files           open files of a process (0: no limit)
    env             further variables for all programs ({})
    pass_env        variables of ours that they get (["PATH", "LANG", "LC_ALL", "TZ", "TMPDIR"])
    authorization   pass the Authorization field on (false: RFC 3875 9.2)
    stderr          bytes of a program's error output that go to the log `wsgikit.cgi` ("64KiB")
    symlinks        "inside": links may lead to anything in the folder; "none"; "any" ("inside")
    fallthrough     give what is no program to the app (true); else, and without an app, 404

/cgi-bin/report.pl/2026?all is the program `report.pl` with PATH_INFO "/2026" and QUERY_STRING "all". Nothing outside
the folder can be run: `..`, backslashes, NUL and hidden names are not found, and links are followed only as `symlinks`
says. No shell is involved, the query never becomes arguments, and the environment has the request's variables and what
`env` and `pass_env` name, but not HTTP_PROXY. A program whose name begins with `nph-` writes a status line of its own;
the fields of the connection are ours all the same.

A program that answers `Location: /path` and nothing else is a local redirect (RFC 3875 6.2.2): the request begins anew
as a GET for that path, at most ten times; a path outside of where this app is mounted is the client's to follow.

Streaming: both directions, as bytes come; output waits while the program has taken all of a body that is still on its
way, as one thread does both. A client that leaves ends the program: the whole process group gets TERM,
after `grace` KILL. A program that is too slow is answered 504, or, when it has begun to answer, cut off so that nobody
takes it for whole. A body without a length (chunks) is kept until it is whole, since programs need CONTENT_LENGTH.

Other servers: a client that has left is noticed at the next output.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import Amount, choice, seconds, size, texts, whole
from wsgikit.middleware.answer import answer
from wsgikit.middleware.cgi_process import ProcessLimits
from wsgikit.middleware.cgi_run import Run, Script
from wsgikit.middleware.cgi_variables import text
from wsgikit.middleware.file_store import segments

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["CGIDirectory"]

_PASSED = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")
_PATH = "/usr/local/bin:/usr/bin:/bin"


class CGIDirectory:
    """Runs programs of a folder. See the module for the options. ConfigError names a wrong one."""

    traits = frozenset({"streams-request", "answers"})

    def __init__(
        self,
        app: WSGIApplication | None = None,
        *,
        directory: str,
        at: str = "/",
        interpreters: Mapping[str, str] | None = None,
        index: str = "",
        timeout: Amount = "25s",
        lifetime: Amount = "5m",
        grace: Amount = "2s",
        processes: int = 16,
        memory: Amount = 0,
        cpu: Amount = 0,
        files: int = 0,
        env: Mapping[str, str] | None = None,
        pass_env: Sequence[str] = _PASSED,
        authorization: bool = False,
        stderr: Amount = "64KiB",
        symlinks: str = "inside",
        fallthrough: bool = True,
    ) -> None:
        self.app = app if fallthrough else None
        self.root = os.path.realpath(directory)
        if not os.path.isdir(self.root):
            raise ConfigError(f"directory = {directory!r}: there is no such folder")
        if not at.startswith("/"):
            raise ConfigError(f"at = {at!r}: has to start with '/'")
        self.at = at.rstrip("/").encode().decode("latin-1")
        self.interpreters = _interpreters(interpreters or {})
        self.index = index
        self.symlinks = choice(symlinks, "symlinks", ("inside", "none", "any"))
        self.authorization = authorization
        self.limits = ProcessLimits(
            timeout=seconds(timeout, "timeout", least=0.001),
            lifetime=seconds(lifetime, "lifetime", least=0.001),
            grace=seconds(grace, "grace"),
            stderr=size(stderr, "stderr"),
            resources=_resources(size(memory, "memory"), seconds(cpu, "cpu"), whole(files, "files", 0)),
        )
        self.environment = _environment(texts(pass_env, "pass_env"), env or {})
        self._places = threading.BoundedSemaphore(whole(processes, "processes", 1))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        script = self.find(environ.get("PATH_INFO", ""))
        if script is None:
            if self.app is None:
                return answer(environ, start_response, 404)
            return self.app(environ, start_response)
        if not self._places.acquire(blocking=False):
            detail = "Too many programs run already; please try again."
            return answer(environ, start_response, 503, detail, [("Retry-After", "1")])
        run = Run(self, self._places)
        try:
            return run.begin(environ, start_response, script)
        except BaseException:
            run.close()
            raise

    # Finding

    def find(self, path: str) -> Script | None:
        """The program that a PATH_INFO names; None: there is none."""
        if self.at and path != self.at and not path.startswith(self.at + "/"):
            return None
        inner = path[len(self.at) :]
        names = segments(inner, hidden=False)
        if names is None:
            return None
        here = self.root
        for number, name in enumerate(names, 1):
            here = os.path.join(here, name)
            mode = _mode(here)
            if not stat.S_ISDIR(mode):
                taken = "".join("/" + text(name) for name in names[:number])
                return self._script(here, mode, self.at + taken, inner[len(taken) :])
        if not self.index or (inner and not inner.endswith("/")):
            return None
        here = os.path.join(here, self.index)
        return self._script(here, _mode(here), self.at + inner.rstrip("/") + "/" + text(self.index), "")

    def _script(self, path: str, mode: int, name: str, info: str) -> Script | None:
        if not stat.S_ISREG(mode) or not self._may(path):
            return None
        interpreter = self.interpreters.get(os.path.splitext(path)[1])
        if interpreter is not None:
            return Script(path, (interpreter, path), name, info)
        return Script(path, (path,), name, info) if os.access(path, os.X_OK) else None

    def _may(self, path: str) -> bool:
        if self.symlinks == "any":
            return True
        real = os.path.realpath(path)
        if self.symlinks == "none":
            return real == path
        return real.startswith(os.path.join(self.root, ""))


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except (OSError, ValueError):
        return 0


def _interpreters(table: Mapping[str, str]) -> dict[str, str]:
    for ending, program in table.items():
        if not ending.startswith("."):
            raise ConfigError(f"interpreters: {ending!r}: an ending such as '.pl'")
        if not os.path.isabs(program) or not os.access(program, os.X_OK):
            raise ConfigError(f"interpreters: {ending} = {program!r}: the absolute path of a program")
    return dict(table)


def _resources(memory: int, cpu: float, files: int) -> dict[int, int]:
    if not memory and not cpu and not files:
        return {}
    import resource

    if not hasattr(resource, "prlimit"):
        raise ConfigError("memory, cpu, files: this system cannot limit another process")
    limits = {resource.RLIMIT_AS: memory, resource.RLIMIT_CPU: int(-(-cpu // 1)), resource.RLIMIT_NOFILE: files}
    return {number: limit for number, limit in limits.items() if limit}


def _environment(passed: Iterable[str], env: Mapping[str, str]) -> dict[bytes, bytes]:
    found = {name: os.environ[name] for name in passed if name in os.environ}
    found.setdefault("PATH", _PATH)
    for name, value in env.items():
        if not isinstance(value, str) or "=" in name or "\0" in name + value:
            raise ConfigError(f"env: {name} = {value!r}: a text")
        found[name] = value
    return {os.fsencode(name): os.fsencode(value) for name, value in found.items()}
