"""`wsgikit logs` as it is run: files, gzip, standard input, filters, JSON, and bad input of every kind."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from wsgikit.observe.logformat import compile_format
from wsgikit.observe.record import Access
from wsgikit.testing.process import ServerProcess

CUSTOM = '%(h)s %(t)s "%(r)s" %(s)s %(B)s %(D)s'
START = 1795157799.0


def run(*arguments: object, data: bytes = b"") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wsgikit", "logs", *map(str, arguments)]
    done = subprocess.run(command, input=data, capture_output=True, timeout=30, env={**os.environ, "TZ": "UTC"})
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode("ascii"), done.stderr.decode())


def written(form: str, count: int = 100) -> bytes:
    """Lines a minute apart; one in ten is an error; the app takes 1, 2, 3 ... ms."""
    write = compile_format(form)
    return b"".join(write(request(number)) for number in range(count))


def request(number: int) -> Access:
    return Access(
        {}, "GET", b"/orders/%d?q=1" % number, "192.0.2.1", "HTTP/1.1", "200 OK" if number % 10 else "500 No", [], 1000,
        START + 60 * number, 0.0, 0.0, (number + 1) / 1000, 0.0,
        {"route": "/orders/<id>", "request_id": f"r{number}"}, "t",
    )  # fmt: skip


def test_a_report_by_route(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(written("json"))
    done = run(path)
    assert (done.returncode, done.stderr) == (0, "")
    out = done.stdout.split("\n")
    assert out[0] == "100 requests, 10 errors, from 2026-11-20 06:56:39+00:00 to 2026-11-20 08:35:39+00:00"
    row = next(line for line in out if line.endswith("GET /orders/<id>")).split()
    assert (row[:3], row[6:9]) == (["100", "0", "10"], ["100", "100.0", "100.0K"])
    for found, exact in zip(row[3:6], (50, 95, 99), strict=True):
        assert float(found) == pytest.approx(exact, rel=0.011)
    slow = out[out.index("slowest") + 1]
    assert slow.startswith("  0.100 s  2026-11-20 08:35:39+00:00  GET /orders/99?q=1 -> 200")
    assert slow.endswith("(wait 0.00, body 0.00, app 100, send 0.00 ms)  route=/orders/<id>  request_id=r99")


@pytest.mark.parametrize("form", ["json", "combined", CUSTOM])
def test_every_form_plain_gzip_and_from_standard_input(tmp_path: Path, form: str) -> None:
    data = written(form)
    plain, packed = tmp_path / "a.log", tmp_path / "b.log.gz"
    plain.write_bytes(data)
    packed.write_bytes(gzip.compress(data))
    more = ("--format", form) if form == CUSTOM else ()
    done = run(plain, packed, "-", "--json", "--collapse", *more, data=data)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["total"]["requests"], found["total"]["errors"], found["total"]["bytes"]) == (300, 30, 300_000)
    assert [row["route"] for row in found["routes"]] == ["GET /orders/<id>" if form == "json" else "GET /orders/*"]
    if form == "combined":
        assert found["total"]["p95"] is None
    else:
        assert found["total"]["p95"] == pytest.approx(95_000, rel=0.011)
        assert [slow["total"] for slow in found["slowest"][:3]] == [100_000] * 3


def test_since_until_sort_and_top(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(written("combined"))
    done = run(path, "--since", "2026-11-20T07:00", "--until", "2026-11-20T07:10+00:00", "--top", 2, "--sort", "errors")
    out = done.stdout.split("\n")
    assert out[0].startswith("10 requests, 1 errors")
    assert out[3].endswith("GET /orders/10")
    assert any("and 8 more routes" in line for line in out)
    assert any("no times in the log" in line for line in out)
    assert run(path, "--since", "1d").stdout.startswith("100 requests"), "the log is of the future"
    assert run(path, "--until", "1d").stdout.startswith("0 requests, 0 errors\n")


def test_bad_lines_are_counted_named_and_harmless(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    evil = json.dumps({"time": "2026-11-20T06:56:39Z", "method": "GET", "target": "/\x1b[2J\u202e", "status": 200})
    path.write_bytes(b"rubbish \xff\x00\n" + written("json", 3) + b"\n" + evil.encode() + b"\n{}\n")
    done = run(path)
    assert done.returncode == 0
    assert "4 requests" in done.stdout
    assert f"{path}:1: not in the combined format" in done.stdout
    assert f"{path}:7: no \\x22method\\x22" in done.stdout
    assert "2 bad lines" in done.stdout
    assert "/\\x1b[2J\\xe2\\x80\\xae" in done.stdout


def test_an_unreadable_file_does_not_hide_the_others(tmp_path: Path) -> None:
    good, cut = tmp_path / "good.log", tmp_path / "cut.gz"
    good.write_bytes(written("json", 5))
    cut.write_bytes(gzip.compress(written("json"))[:-20])
    done = run(tmp_path / "missing.log", tmp_path, cut, good, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["total"]["requests"] >= 5
    for named in ("missing.log: No such file", "Is a directory", "cut.gz:"):
        assert named in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-", "--since", "soon"], "--since 'soon': write"),
        (["-", "--since", "999999d"], "--since"),
        (["-", "--routes", "0"], "--routes 0: 1 or more"),
        (["-", "--format", "%(nothing)s"], "unknown name"),
        ([], "FILE"),
    ],
)
def test_wrong_arguments_are_explained(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_memory_is_bounded_for_many_routes(tmp_path: Path) -> None:
    path = tmp_path / "scan.log"
    with path.open("wb") as file:
        for number in range(60_000):
            file.write(
                b'1.2.3.4 - - [20/Nov/2026:06:56:39 +0000] "GET /%d/%s HTTP/1.1" 404 9 "-" "-"\n' % (number, b"x" * 250)
            )
    program = (
        "import sys\n"
        "from wsgikit.__main__ import main\n"
        "try: main()\n"
        "finally: print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", program, "logs", str(path), "--routes", "100", "--top", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "60,000 requests" in done.stdout
    assert "(other)" in done.stdout
    assert int(done.stderr) < 30 * 1024, "KiB; the paths of the log alone are 15 MiB"


def test_a_live_log_is_reported_on_ctrl_c() -> None:
    command = [sys.executable, "-m", "wsgikit", "logs", "-", "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None
        running.stdin.write(written("json", 3000))  # more than a pipe holds: once it is written, reading has begun
        running.stdin.flush()
        running.send_signal(signal.SIGINT)
        out: Any = running.stdout
        found = json.loads(out.read())
        assert running.wait(10) == 130
    assert 0 < found["total"]["requests"] <= 3000


APP = """
def app(environ, start_response):
    environ["wsgikit.log"]["route"] = "/<x>"
    environ.clear()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


def ask(address: Any, target: bytes) -> None:
    with socket.create_connection(address, timeout=10) as conn:
        conn.sendall(
            b'GET %s HTTP/1.1\r\nHost: a\r\nUser-Agent: "}\\\t{"status":500\r\nConnection: close\r\n\r\n' % target
        )
        while conn.recv(4096):
            pass


def waited_for(path: Path, lines: int) -> list[str]:
    deadline = time.monotonic() + 10
    while True:
        found = path.read_text().split("\n")[:-1] if path.exists() else []
        if len(found) >= lines or time.monotonic() > deadline:
            return found
        time.sleep(0.01)


def test_the_servers_own_log_through_rotation(tmp_path: Path) -> None:
    """Two workers, one file, an app that empties its environ, a client that wants to forge a field, and USR1."""
    (tmp_path / "clearing.py").write_text(APP)
    path, old = tmp_path / "access.log", tmp_path / "access.log.1"
    options = ("-w", "2", "--access-logfile", str(path), "--access-logformat", "json", "--chdir", str(tmp_path))
    command = [sys.executable, "-m", "wsgikit", "serve", "{app}", "-b", "{host}:{port}", *options]
    with ServerProcess(command, app="clearing:app") as server:
        for number in range(5):
            ask(server.address, b"/old/%d" % number)
        assert len(waited_for(path, 5)) == 5
        path.rename(old)
        server.signal(signal.SIGUSR1)
        for number in range(200):  # until each worker has opened the new file
            ask(server.address, b"/new/%d" % number)
            if path.exists() and len(path.read_text().split("\n")) > 20:
                break
    lines = [json.loads(line) for file in (old, path) for line in file.read_text().split("\n") if line]
    assert sorted(line["target"] for line in lines[:5]) == [f"/old/{number}" for number in range(5)]
    assert sorted(line["target"] for line in lines[5:]) == sorted(f"/new/{n}" for n in range(len(lines) - 5))
    assert {(line["status"], line["bytes"], line["route"], line["remote"]) for line in lines} == {
        (200, 2, "/<x>", "127.0.0.1")
    }
    assert all(0 < line["total"] < 10_000_000 and line["pid"] != server.pid for line in lines)
    done = run(path, old)
    assert f"{len(lines)} requests, 0 errors" in done.stdout
    assert "GET /<x>" in done.stdout
