"""Programs from the system that speak FastCGI or uwsgi, started in a folder and on ports of a test's own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from glob import glob
from pathlib import Path
from typing import Self

from web_fronts import program, public_folder

from wsgikit.testing import accepts, free_port


class Backend:
    """A program in the foreground, until `__exit__`. `port` is where it listens, `folder` its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = public_folder()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            with (self.folder / "output").open("wb") as output:
                self._process = subprocess.Popen(
                    self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.folder,
                    start_new_session=True,
                )  # fmt: skip
            deadline = time.monotonic() + 15
            while not accepts(("127.0.0.1", self.port)):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"it does not start:\n{self.log()}")
                time.sleep(0.02)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def log(self) -> str:
        return (self.folder / "output").read_text("utf-8", "replace")

    def stop(self) -> None:
        if self._process is not None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def php_fpm() -> str | None:
    """Where php-fpm is; Debian puts the version in its name."""
    found = [*glob("/usr/sbin/php-fpm*"), *glob("/usr/local/sbin/php-fpm*")]
    return max(found) if found else program("php-fpm")


class PhpFpm(Backend):
    """php-fpm with one pool. `prepend`: PHP that runs before every script."""

    def __init__(self, prepend: str = "") -> None:
        super().__init__()
        self._prepend = prepend

    def command(self) -> Sequence[str]:
        (self.folder / "prepend.php").write_text(self._prepend)
        lines = [
            "[global]", "error_log = /dev/stderr", "daemonize = no", "[www]", f"listen = 127.0.0.1:{self.port}",
            "pm = static", "pm.max_children = 4", "catch_workers_output = yes",
            f"php_admin_value[auto_prepend_file] = {self.folder}/prepend.php",
            f"php_admin_value[session.save_path] = {self.folder}/sessions",
        ]  # fmt: skip
        if os.getuid() == 0:
            lines += ["user = www-data", "group = www-data"]
        config = self.folder / "fpm.conf"
        config.write_text("\n".join([*lines, ""]))
        sessions = self.folder / "sessions"
        sessions.mkdir()
        sessions.chmod(0o777)
        return [php_fpm() or "php-fpm", "-F", "-R", "-n", *self._modules(), "-y", str(config)]

    def _modules(self) -> list[str]:
        """Extensions that Debian loads from files; `-n` leaves the system's php.ini out."""
        loaded = sorted(glob("/etc/php/*/fpm/conf.d/*.ini"))
        names = [Path(path).name.partition("-")[2].removesuffix(".ini") for path in loaded]
        return [part for name in names if name != "opcache" for part in ("-d", f"extension={name}")]


def uwsgi() -> str | None:
    """Where uWSGI is: beside this interpreter, or on the path."""
    beside = Path(sys.executable).parent / "uwsgi"
    return str(beside) if beside.exists() else program("uwsgi")


class Uwsgi(Backend):
    """uWSGI with a WSGI app of `module`, from `apps`, on a uwsgi socket."""

    def __init__(self, module: str, apps: Path) -> None:
        super().__init__()
        self._module = module
        self._apps = apps

    def command(self) -> Sequence[str]:
        return [
            uwsgi() or "uwsgi", "--uwsgi-socket", f"127.0.0.1:{self.port}", "--module", self._module, "--callable",
            "app", "--pythonpath", str(self._apps), "--master", "--processes", "1", "--threads", "2", "--die-on-term",
            "--buffer-size", "32768", "--home", sys.prefix,
        ]  # fmt: skip


C_PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcgiapp.h>

int main(void) {
    FCGX_Request request;
    int count = 0;
    FCGX_Init();
    FCGX_InitRequest(&request, 0, 0);
    while (FCGX_Accept_r(&request) == 0) {
        const char *method = FCGX_GetParam("REQUEST_METHOD", request.envp);
        const char *path = FCGX_GetParam("PATH_INFO", request.envp);
        const char *length = FCGX_GetParam("CONTENT_LENGTH", request.envp);
        long left = length ? atol(length) : 0, sum = 0;
        int byte;
        if (path && strcmp(path, "/big") == 0) {
            FCGX_FPrintF(request.out, "Content-Type: application/octet-stream\r\n\r\n");
            for (left = 0; left < 1048576; left++) FCGX_PutChar('0' + left % 10, request.out);
        } else {
            while (left-- > 0 && (byte = FCGX_GetChar(request.in)) >= 0) sum += byte;
            FCGX_FPrintF(request.err, "request %d\n", count);
            FCGX_FPrintF(request.out, "Status: 202 Accepted\nContent-Type: text/plain\n\n%s %s %ld %d\n",
                         method ? method : "-", path ? path : "-", sum, count);
        }
        count++;
        FCGX_Finish_r(&request);
    }
    return 0;
}
"""


def why_no_c_program() -> str:
    """Why the program in C cannot be built and started; "" when it can."""
    if not program("gcc"):
        return "no C compiler"
    if not glob("/usr/include/fcgiapp.h"):
        return "libfcgi-dev is not installed"
    return "" if program("spawn-fcgi") else "spawn-fcgi is not installed"


class CProgram(Backend):
    """A FastCGI program in C on libfcgi, started by spawn-fcgi with its socket on descriptor 0."""

    def command(self) -> Sequence[str]:
        source, binary = self.folder / "program.c", self.folder / "program"
        source.write_text(C_PROGRAM)
        subprocess.run(["gcc", "-O1", "-o", binary, source, "-lfcgi"], check=True)
        spawn = program("spawn-fcgi") or "spawn-fcgi"
        return [spawn, "-n", "-a", "127.0.0.1", "-p", str(self.port), "--", str(binary)]
