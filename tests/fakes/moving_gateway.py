"""A gateway that passes large bodies on from socket to socket, and bodies in which nothing can be lost unseen."""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

from scripted_upstream import Peer, ScriptedUpstream
from waiting import wait_for

from wsgikit.testing import RawClient, ServerProcess

APPS = Path(__file__).parent.parent / "functional" / "apps"
GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
KIB = 1024
EDGES = (0, 1, 16 * KIB, 32 * KIB - 1, 32 * KIB, 32 * KIB + 1, 64 * KIB - 1, 64 * KIB + 1, 1024 * KIB, 5120 * KIB)
SEED = random.Random(5).randbytes(64 * KIB - 7)  # a length that no buffer has: what is lost or doubled shows


def body(size: int, first: int = 0) -> bytes:
    return (SEED[first % 997 :] + SEED * (size // len(SEED) + 1))[:size]


def post(data: bytes, path: bytes = b"", version: bytes = b"1.1", fields: bytes = b"") -> bytes:
    head = b"POST /%b HTTP/%b\r\nHost: a\r\nContent-Length: %d\r\n%b\r\n"
    return head % (path, version, len(data), fields) + data


def echo(peer: Peer) -> None:
    while True:
        peer.answer("200 OK", peer.read_request().body or b"")


def moving(options: dict[str, object], *more: str, bind: str = "{host}:{port}") -> ServerProcess:
    command = [sys.executable, "-m", "wsgikit", "serve", "moving:app", "-b", bind, "--threads", "4"]
    command += ["--pythonpath", str(APPS), "--body", "stream", *more]
    return ServerProcess(command, env={"GATEWAY": json.dumps(options)})


def keeping_nothing(upstream: ScriptedUpstream) -> ServerProcess:
    """Keeps no connection, so that each test's script gets one of its own."""
    options = {"to": upstream.url, "keep_alive": 0, "idle_timeout": 0.5, "first_byte_timeout": 5}
    return moving(options, "--body-timeout", "500ms", "--body-rate", "0", "--access-logfile", "-")


def worker(server: ServerProcess) -> int:
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    wait_for(children.read_text)
    return int(children.read_text().split()[0])


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def processor_time(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def get(server: ServerProcess, path: bytes = b""):
    with RawClient(server.address) as client:
        client.send(GET % path)
        return client.read_response()


def echoed(client: RawClient, size: int) -> None:
    data = body(size, size)
    client.send(post(data))
    assert client.read_response(timeout=20).body == data, size
