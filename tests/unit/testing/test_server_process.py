from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wsgikit.testing import ProcessLimits, RawClient, ServerProcess, ServerStartError, accepts, free_port, process
from wsgikit.testing.processtree import kill_marked, marked

ECHO = """
import os, signal, socket, sys, time
print("hello from", os.environ.get("COLOUR"), os.environ.get("GONE"), flush=True)
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
if os.fork() == 0:
    os.setsid()
    time.sleep(600)
while True:
    connection, _ = listener.accept()
    connection.sendall(sys.argv[3].encode())
    connection.close()
"""
UNIX = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
while True:
    listener.accept()[0].close()
"""
QUICK = ProcessLimits(ready=5.0, stop=1.0, output=2000)


def command(script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", script, *arguments]


def test_it_starts_serves_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONE", "here")
    server = ServerProcess(
        command(ECHO, "{host}", "{port}", "{app}"), app="it", env={"COLOUR": "red", "GONE": None}, limits=QUICK
    )
    with server:
        assert server.alive
        with RawClient(server.address) as client:
            assert client.read_until_close() == b"it"
        token = server._token
        assert len(marked(token)) == 2  # the fork took a session of its own
    assert marked(token) == []
    assert not accepts(server.address)
    assert server.output == "hello from red None\n"
    assert server.returncode == -signal.SIGTERM
    server.stop()


def test_a_unix_socket_by_its_mark() -> None:
    with ServerProcess(command(UNIX, "{socket}"), limits=QUICK) as server:
        path = server.address
        assert isinstance(path, str)
        assert accepts(path)
    assert not Path(path).parent.exists()


def test_term_is_ignored_by_some() -> None:
    script = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + ECHO
    with ServerProcess(command(script, "{host}", "{port}", ""), limits=ProcessLimits(ready=5, stop=0.1)) as server:
        pid = server.pid
    assert server.returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_command_that_does_not_exist() -> None:
    with pytest.raises(ServerStartError, match="cannot run 'no-such-program-here'") as caught:
        ServerProcess(["no-such-program-here"]).start()
    assert caught.value.reason == "not-found"


def test_a_command_that_exits_shows_its_last_words() -> None:
    with pytest.raises(ServerStartError, match="status 3") as caught:
        ServerProcess(command("import sys; print('no config'); sys.exit(3)"), limits=QUICK).start()
    assert caught.value.reason == "exited"
    assert caught.value.output == "no config\n"


def test_a_command_that_listens_elsewhere() -> None:
    port = str(free_port())
    server = ServerProcess(command(ECHO, "127.0.0.1", port, ""), limits=ProcessLimits(ready=1.0, stop=0.5))
    with pytest.raises(ServerStartError, match=f"nothing accepted.*it listens on 127.0.0.1:{port}") as caught:
        server.start()
    assert caught.value.reason == "not-listening"


@pytest.mark.parametrize("blind", [0, 2])
def test_a_signal_in_the_middle_of_a_start_leaves_no_process(monkeypatch: pytest.MonkeyPatch, blind: int) -> None:
    """`blind`: how often the child is looked for before it has its environment."""
    begun: list[subprocess.Popen[bytes]] = []
    looks: list[str] = []

    class Interrupted(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            begun.append(self)
            raise KeyboardInterrupt

    def look(token: str) -> list[int]:
        looks.append(token)
        return kill_marked(token) if len(looks) > blind else []

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    monkeypatch.setattr(process, "kill_marked", look)
    with pytest.raises(KeyboardInterrupt):
        ServerProcess(command(ECHO, "{host}", "{port}", ""), limits=QUICK).start()
    child = begun[0]
    try:
        assert child.wait(10) == -signal.SIGKILL
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def test_output_is_bounded_and_never_blocks() -> None:
    script = (
        "import sys\nprint('first', flush=True)\nsys.stdout.write('x' * 3000000)\nprint('last', flush=True)\n" + ECHO
    )
    with ServerProcess(command(script, "{host}", "{port}", ""), limits=QUICK) as server:
        server.wait_for_output("hello from")
        assert server.output.startswith("first\n")
        assert "last\nhello from None" in server.output
        assert "bytes left out" in server.output
        assert len(server.output) < 2200


def test_signals_go_to_the_started_process() -> None:
    with ServerProcess(command(ECHO, "{host}", "{port}", ""), limits=QUICK) as server:
        server.signal(signal.SIGINT)
        assert server.wait(5) is not None
        assert not server.alive


def test_a_socket_fits_however_deep_the_temporary_directory_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 90)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with ServerProcess(command(UNIX, "{socket}"), limits=QUICK) as server:
        assert isinstance(server.address, str)
        assert len(server.address) < 100
