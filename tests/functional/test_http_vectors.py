"""Every HTTP vector through the real server: calls, environ, body, close(), the next request here and elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wsgikit.errors import Disconnected
from wsgikit.testing import RawClient, Response, ServerProcess
from wsgikit.testing.vectors import FOLLOW_UP, VECTORS, Call, Reply, Vector

APPS = Path(__file__).parent / "apps"


class Target:
    """A running server and the folder in which its app keeps accounts."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.calls_file = folder / "calls.jsonl"

    def behave(self, vector: Vector) -> None:
        app = vector.app
        behaviour = {
            "reads": app.reads,
            "status": app.status,
            "blocks": [block.decode("latin-1") for block in app.blocks],
            "length": app.length,
        }
        (self.folder / "behaviour.json").write_text(json.dumps(behaviour))
        self.calls_file.write_text("")

    def calls(self, number: int, follow_ups: int) -> tuple[list[dict[str, Any]], int]:
        """The closed calls and how many follow-ups beside them, once there are so many or a second has passed."""
        deadline = time.monotonic() + 1.0
        while True:
            calls = [json.loads(line) for line in self.calls_file.read_text().splitlines()]
            mine = [account for account in calls if account["environ"]["PATH_INFO"] != "/follow-up"]
            enough = len(mine) >= number and len(calls) - len(mine) >= follow_ups
            if enough or time.monotonic() > deadline:
                return mine, len(calls) - len(mine)
            time.sleep(0.005)


def start(tmp_path_factory: pytest.TempPathFactory, *options: str) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("vectors")
    (folder / "behaviour.json").write_text("{}")
    (folder / "calls.jsonl").write_text("")
    command = [
        sys.executable, "-m", "wsgikit", "serve", "vector_app:app", "-b", "{host}:{port}", "--threads", "2",
        "--pythonpath", str(APPS), *options,
    ]  # fmt: skip
    with ServerProcess(command, env={"VECTOR_DIR": str(folder)}, cwd=folder) as server:
        yield Target(server, folder)


@pytest.fixture(scope="module")
def spooling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    yield from start(tmp_path_factory, "--body", "spool", "--head-timeout", "3", "--body-timeout", "3")


@pytest.fixture(scope="module")
def streaming(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    yield from start(tmp_path_factory, "--body", "stream", "--head-timeout", "3", "--body-timeout", "3")


def judge_reply(response: Response, reply: Reply) -> None:
    assert response.status in reply.statuses
    names = {name.lower() for name, _ in response.fields}
    assert set(reply.fields) <= {name.decode() for name in names}
    assert not set(reply.lacks) & {name.decode() for name in names}
    for status, name in reply.when:
        assert response.status != status or name.encode() in names
    if reply.body is not None:
        assert response.body == reply.body
    if reply.line is not None:
        assert response.head.startswith(reply.line)


def judge_call(account: dict[str, Any], call: Call, *, read: bool) -> None:
    environ = account["environ"]
    for key, wanted in (("REQUEST_METHOD", call.method), ("PATH_INFO", call.path), ("QUERY_STRING", call.query)):
        if wanted is not None:
            assert environ[key] == wanted
    for key, value in call.environ.items():
        assert environ.get(key) == value, key
    for key in call.lacks:
        # A chunked body that was spooled has a length, which the app is told (RFC 9112 7.1.3).
        assert key not in environ or key == "CONTENT_LENGTH"
    assert account["closed"] == 1
    if not read:
        return
    if call.complete:
        assert account["error"] == ""
        assert account["body"].encode("latin-1") == call.body
    else:
        assert account["error"] or len(account["body"]) < len(call.body)


def carry_out(target: Target, vector: Vector, pieces: list[bytes]) -> None:
    target.behave(vector)
    expect = vector.expect
    stream = "stream" in target.server.command
    replies = list(expect.replies)
    with RawClient(target.server.address, timeout=5.0) as client:
        try:
            for piece in pieces:
                client.send(piece)
                if piece is not pieces[-1]:
                    time.sleep(0.001)  # so that the pieces arrive apart; nothing fails if they do not
        except Disconnected:
            pass  # it refused before it had all: the answer is still there to read
        if vector.later and not expect.interim:
            assert not client.readable(0.05)
        if vector.later:
            if expect.interim:
                assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 %d " % expect.interim[0])
            client.send(vector.later)
        if vector.eof:
            client.half_close()
        methods = [call.method or "GET" for call in expect.calls] + ["GET"] * len(replies)
        for reply, method in zip(replies, methods, strict=False):
            try:
                judge_reply(client.read_response(method), reply)
            except Disconnected:
                assert expect.silent
                assert reply is replies[-1]
        follow_ups = 0
        if expect.persists is False:
            assert client.closed_by_peer(1.0)
        elif expect.persists:
            client.send(FOLLOW_UP)
            assert client.read_response().status == 200
            follow_ups = 1
    with RawClient(target.server.address) as client:
        client.send(FOLLOW_UP)
        assert client.read_response().status == 200
    mine, others = target.calls(len(expect.calls), follow_ups + 1)
    assert others == follow_ups + 1
    # A streamed body can only be refused once the app runs; a spooled one never reaches the app.
    if not stream or len(mine) == len(expect.calls):
        assert len(mine) == len(expect.calls)
        for account, call in zip(mine, expect.calls, strict=True):
            judge_call(account, call, read=vector.app.reads)
    assert not any(account["environ"]["PATH_INFO"] == "/smuggled" for account in mine)


each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.id)


@each_vector
def test_whole(spooling: Target, vector: Vector) -> None:
    carry_out(spooling, vector, [vector.raw])


@each_vector
@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_split(spooling: Target, vector: Vector, quarter: int) -> None:
    middle = len(vector.raw) * quarter // 4
    carry_out(spooling, vector, [vector.raw[:middle], vector.raw[middle:]])


@each_vector
def test_whole_streamed(streaming: Target, vector: Vector) -> None:
    carry_out(streaming, vector, [vector.raw])


@each_vector
def test_split_streamed(streaming: Target, vector: Vector) -> None:
    middle = len(vector.raw) // 2
    carry_out(streaming, vector, [vector.raw[:middle], vector.raw[middle:]])
