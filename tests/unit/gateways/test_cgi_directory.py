"""CGI programs in sh, Perl and Python run by CGIDirectory: found, told, fed, limited, and ended."""

from __future__ import annotations

import io
import logging
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for
from wsgi_gateway import Seen, drive, make_environ

from wsgikit.errors import ConfigError, Disconnected
from wsgikit.middleware.cgi_directory import CGIDirectory

SCRIPTS = {
    "hello.sh": "#!/bin/sh\necho 'Content-Type: text/plain'\necho\necho hello\n",
    "env.sh": "#!/bin/sh\necho 'Content-Type: text/plain'\necho\nexec /usr/bin/env\n",
    "cat.sh": "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nexec cat\n",
    "status.sh": "#!/bin/sh\nprintf 'Status: 418 Teapot\\nSet-Cookie: a=1\\nSet-Cookie: b=2\\n\\nshort'\n",
    "nph-own.sh": "#!/bin/sh\nprintf 'HTTP/1.1 201 Made\\r\\nConnection: close\\r\\nX-A: b\\r\\n\\r\\nnph'\n",
    "local.sh": "#!/bin/sh\nprintf 'Location: /cgi/env.sh/there?q=1\\n\\n'\n",
    "loop.sh": "#!/bin/sh\nprintf 'Location: /cgi/loop.sh\\n\\n'\n",
    "away.sh": "#!/bin/sh\nprintf 'Location: https://shop.example/\\n\\n'\n",
    "elsewhere.sh": "#!/bin/sh\nprintf 'Location: /else/where\\n\\n'\n",
    "silent.sh": "#!/bin/sh\nexit 0\n",
    "nonsense.sh": "#!/bin/sh\necho this is no head\necho\n",
    "stderr.sh": "#!/bin/sh\necho trouble >&2\nprintf 'escape \\033[1m' >&2\nprintf 'A: b\\n\\nfine'\nexit 3\n",
    "sleep.sh": "#!/bin/sh\nsleep 20\n",
    "stuck.sh": "#!/bin/sh\ntrap '' TERM\nprintf 'A: b\\n\\nbegun'\nsleep 20 & wait\nwhile :; do sleep 20; done\n",
    "family.sh": '#!/bin/sh\nsleep 20 &\necho $! > "$PIDFILE"\nprintf "A: b\\n\\nbegun"\nwait\n',
    "ticks.sh": "#!/bin/sh\nprintf 'A: b\\n\\n'\nfor n in 1 2 3; do echo tick $n; sleep 0.1; done\n",
    "deaf.sh": "#!/bin/sh\nexec <&-\nprintf 'A: b\\n\\nnever read'\n",
    "folder/deep.sh": '#!/bin/sh\nprintf \'A: b\\n\\n%s|%s\' "$SCRIPT_NAME" "$PATH_INFO"\n',
    "folder/index.sh": "#!/bin/sh\nprintf 'A: b\\n\\nindex %s' \"$SCRIPT_NAME\"\n",
    "caf\xe9.sh": "#!/bin/sh\nprintf 'A: b\\n\\n%s' \"$SCRIPT_NAME\"\n",
    "word.pl": '#!/usr/bin/perl\nread(STDIN, my $b, $ENV{CONTENT_LENGTH});\nprint "A: b\\n\\n", scalar reverse $b;\n',
    "plain.py": "import os, sys\nsys.stdout.write('A: b\\n\\n' + os.environ['REQUEST_METHOD'])\n",
    "plain.txt": "no program",
    ".hidden.sh": "#!/bin/sh\nprintf 'A: b\\n\\nhidden'\n",
}


@pytest.fixture
def folder(tmp_path) -> Path:
    root = tmp_path / "cgi"
    for name, script in SCRIPTS.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script)
        if not name.endswith((".txt", ".py")):
            path.chmod(0o755)
    (tmp_path / "outside.sh").write_text(SCRIPTS["hello.sh"])
    (tmp_path / "outside.sh").chmod(0o755)
    (root / "link.sh").symlink_to("../outside.sh")
    (root / "inner.sh").symlink_to("hello.sh")
    return root


def get(
    root: Path, path: str, method: str = "GET", body: bytes = b"", *, take: int | None = None, **options: Any
) -> Seen:
    extra = options.pop("extra", {})
    app = CGIDirectory(options.pop("app", None), directory=str(root), at="/cgi", **{"grace": "200ms", **options})
    name, _, query = path.partition("?")
    raw = name.encode().decode("latin-1")
    environ = make_environ(method, raw, body=body, QUERY_STRING=query, **extra)
    seen = drive(app, environ, take=take)
    assert app._places._value == 16, "every program gives its place back"
    return seen


def test_programs_answer(folder) -> None:
    seen = get(folder, "/cgi/hello.sh")
    assert (seen.status, seen.body, seen.get("Content-Type")) == ("200 OK", b"hello\n", "text/plain")
    seen = get(folder, "/cgi/status.sh")
    assert (seen.status, seen.all("Set-Cookie"), seen.body) == ("418 Teapot", ["a=1", "b=2"], b"short")
    seen = get(folder, "/cgi/nph-own.sh")
    assert (seen.status, seen.get("Connection"), seen.get("X-A"), seen.body) == ("201 Made", None, "b", b"nph")


def test_what_they_are_told(folder) -> None:
    os.environ["SECRET_OF_THE_SERVER"] = "x"
    try:
        seen = get(
            folder,
            "/cgi/env.sh/more/caf\xe9?a=1;b",
            extra={
                "HTTP_X_NAME": "caf\xc3\xa9",
                "HTTP_PROXY": "http://evil.example",
                "HTTP_AUTHORIZATION": "Basic secret",
                "wsgi.url_scheme": "https",
                "SCRIPT_NAME": "/mount",
            },
            env={"OWN": "value"},
        )
    finally:
        del os.environ["SECRET_OF_THE_SERVER"]
    told = dict(line.split("=", 1) for line in seen.body.decode().splitlines())
    expected = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SCRIPT_NAME": "/mount/cgi/env.sh",
        "PATH_INFO": "/more/caf\xe9",
        "QUERY_STRING": "a=1;b",
        "REQUEST_METHOD": "GET",
        "HTTP_X_NAME": "caf\xe9",
        "HTTPS": "on",
        "OWN": "value",
        "SCRIPT_FILENAME": str(folder / "env.sh"),
        "DOCUMENT_ROOT": str(folder),
        "PATH_TRANSLATED": f"{folder}/more/caf\xe9",
        "REMOTE_ADDR": "192.0.2.7",
    }
    assert {name: told.get(name) for name in expected} == expected
    assert "PATH" in told
    assert not {"SECRET_OF_THE_SERVER", "HTTP_PROXY", "HTTP_AUTHORIZATION", "wsgi.input"} & told.keys()
    seen = get(folder, "/cgi/env.sh", extra={"HTTP_AUTHORIZATION": "Basic x"}, authorization=True)
    assert b"HTTP_AUTHORIZATION=Basic x" in seen.body


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/cgi/folder/deep.sh/a/b", b"/cgi/folder/deep.sh|/a/b"),
        ("/cgi/folder/", b"index /cgi/folder/index.sh"),
        ("/cgi/caf\xe9.sh", "/cgi/caf\xe9.sh".encode()),
        ("/cgi/inner.sh", b"hello\n"),
        ("/cgi/plain.py", b"GET"),
    ],
)
def test_which_program(folder, path, body) -> None:
    assert get(folder, path, index="index.sh", interpreters={".py": sys.executable}).body == body


@pytest.mark.parametrize(
    "path",
    [
        "/cgi/plain.txt", "/cgi/nothing.sh", "/cgi/folder", "/cgi", "/cgi/", "/cgi/../outside.sh", "/cgi/link.sh",
        "/cgi/folder/../hello.sh", "/cgi//hello.sh", "/cgi/.hidden.sh", "/cgi/hello.sh\0", "/cgi/hello.sh\\x",
        "/cgi/plain.txt/x", "/cgi/folder/./deep.sh", "/else", "/cgix/hello.sh", "/cgi/plain.py",
    ],
)  # fmt: skip
def test_what_is_no_program_goes_to_the_app(folder, path) -> None:
    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"the app"]

    assert get(folder, path, app=app).body == b"the app"
    assert get(folder, path).status == "404 Not Found"
    assert get(folder, path, app=app, fallthrough=False).status == "404 Not Found"


def test_links(folder) -> None:
    assert get(folder, "/cgi/link.sh", symlinks="any").body == b"hello\n"
    assert get(folder, "/cgi/inner.sh", symlinks="none").status == "404 Not Found"


def test_bodies_go_in_and_out(folder) -> None:
    body = os.urandom(1 << 20)
    assert get(folder, "/cgi/cat.sh", "POST", body).body == body
    seen = get(folder, "/cgi/cat.sh", "POST", extra={"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True})
    assert seen.body == body, "without a length it is measured first"
    assert get(folder, "/cgi/deaf.sh", "POST", body).body == b"never read"
    if shutil.which("perl"):
        assert get(folder, "/cgi/word.pl", "POST", b"abc").body == b"cba"
    assert get(folder, "/cgi/cat.sh", "POST", b"abc", extra={"CONTENT_LENGTH": "2"}).body == b"ab"


def test_redirects(folder) -> None:
    seen = get(folder, "/cgi/local.sh", "POST", b"body")
    assert seen.status == "200 OK"
    told = seen.body.decode()
    for line in ("REQUEST_METHOD=GET", "PATH_INFO=/there", "QUERY_STRING=q=1", "SCRIPT_NAME=/cgi/env.sh"):
        assert line in told.splitlines()
    assert "CONTENT_LENGTH" not in told
    assert get(folder, "/cgi/loop.sh").status == "500 Internal Server Error"
    away = get(folder, "/cgi/away.sh")
    assert (away.status, away.get("Location")) == ("302 Found", "https://shop.example/")
    elsewhere = get(folder, "/cgi/elsewhere.sh", extra={"SCRIPT_NAME": "/mount"})
    assert (elsewhere.status, elsewhere.get("Location")) == ("302 Found", "/else/where")


def test_programs_that_fail(folder, caplog) -> None:
    for name in ("silent.sh", "nonsense.sh"):
        assert get(folder, f"/cgi/{name}").status == "500 Internal Server Error"
    (folder / "broken.sh").write_text("#!/no/such/interpreter\n")
    (folder / "broken.sh").chmod(0o755)
    assert get(folder, "/cgi/broken.sh").status == "500 Internal Server Error"
    caplog.clear()
    assert get(folder, "/cgi/stderr.sh").body == b"fine"
    logged = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert logged == ["stderr.sh: trouble", r"stderr.sh: escape \x1b[1m", "stderr.sh: ended with status 3"]


def test_slow_programs_are_ended(folder) -> None:
    begun = time.monotonic()
    assert get(folder, "/cgi/sleep.sh", timeout="300ms").status == "504 Gateway Timeout"
    assert time.monotonic() - begun < 5
    seen = get(folder, "/cgi/stuck.sh", timeout="300ms")
    assert seen.body == b"begun"
    assert isinstance(seen.error, Disconnected), "the server is to cut the response off"
    assert isinstance(get(folder, "/cgi/stuck.sh", lifetime="300ms").error, Disconnected)


def test_what_a_program_has_started_ends_with_it(folder, tmp_path) -> None:
    pidfile = tmp_path / "pid"
    seen = get(folder, "/cgi/family.sh", take=1, env={"PIDFILE": str(pidfile)})
    assert seen.blocks == [b"begun"]
    child = int(pidfile.read_text())
    wait_for(lambda: not _runs(child))
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_output_is_handed_on_as_it_comes(folder) -> None:
    blocks = [block for block in get(folder, "/cgi/ticks.sh").blocks if block]
    assert blocks == [b"tick 1\n", b"tick 2\n", b"tick 3\n"]


def test_a_client_that_leaves_ends_the_program(folder) -> None:
    import socket

    near, far = socket.socketpair()
    threading.Timer(0.2, far.close).start()
    begun = time.monotonic()
    with near:
        seen = get(folder, "/cgi/sleep.sh", extra={"wsgikit.client_gone": near})
    assert isinstance(seen.error, Disconnected)
    assert time.monotonic() - begun < 5


def test_one_program_too_many(folder) -> None:
    app = CGIDirectory(None, directory=str(folder), processes=1, grace="100ms")
    heads: list[str] = []
    running = app(make_environ("GET", "/stuck.sh"), lambda status, headers, exc_info=None: heads.append(status))
    try:
        seen = drive(app, make_environ("GET", "/hello.sh"))
        assert (seen.status, seen.get("Retry-After")) == ("503 Service Unavailable", "1")
    finally:
        running.close()
    assert drive(app, make_environ("GET", "/hello.sh")).body == b"hello\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prlimit is Linux's")
def test_limits_of_a_process(folder) -> None:
    (folder / "limits.sh").write_text("#!/bin/sh\nsleep 0.3\nprintf 'A: b\\n\\n'\nulimit -n\nulimit -t\nulimit -v\n")
    (folder / "limits.sh").chmod(0o755)
    seen = get(folder, "/cgi/limits.sh", files=33, cpu="7s", memory="512MiB")
    assert seen.body.split() == [b"33", b"7", b"524288"]


@pytest.mark.parametrize(
    "options",
    [
        {"directory": "/no/such/folder"},
        {"at": "cgi"},
        {"interpreters": {"py": "/usr/bin/env"}},
        {"interpreters": {".py": "env"}},
        {"interpreters": {".py": "/no/such/program"}},
        {"symlinks": "some"},
        {"processes": 0},
        {"timeout": 0},
        {"env": {"A=B": "c"}},
        {"env": {"A": 1}},
    ],
)
def test_wrong_options(folder, options) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        CGIDirectory(None, **{"directory": str(folder), **options})


def test_no_signal_handler_or_child_is_left(folder) -> None:
    before = signal.getsignal(signal.SIGCHLD)
    get(folder, "/cgi/hello.sh")
    assert signal.getsignal(signal.SIGCHLD) is before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
