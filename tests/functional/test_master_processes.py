"""The master with real processes and signals; the workers are fakes that answer commands (`fake_server.py`)."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from closed_door import needs_a_door
from inet6 import needs_ipv6

SERVER = Path(__file__).parent / "fake_server.py"
PATIENCE = 15.0


class Served:
    """A master under test and its clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: dict[str, Any] = {"settings": {}, "groups": [{"workers": 1, "binds": ["127.0.0.1:0"]}]}
        self.process: subprocess.Popen[bytes] | None = None
        self.version("one")

    # Before and while it runs

    def write(self, **settings: Any) -> None:
        self.config["settings"].update(settings)
        (self.folder / "config.json").write_text(json.dumps(self.config))

    def version(self, text: str) -> None:
        (self.folder / "version").write_text(text)

    def start(self, workers: int = 1, ready: bool = True, prefix: tuple[str, ...] = (), **settings: Any) -> None:
        self.config["groups"][0]["workers"] = workers
        self.write(**settings)
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, str(SERVER), str(self.folder / "config.json")],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        if ready:
            self.wait_for_log("started: ")

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def exit_status(self) -> int:
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    # What is seen from outside

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def wait_for_log(self, text: str, times: int = 1) -> None:
        until(lambda: self.log.count(text) >= times, lambda: f"{times} x {text!r} in:\n{self.log}", self.process)

    @property
    def address(self) -> tuple[str, int]:
        found = re.search(r"listening on http://([0-9.]+):([0-9]+)", self.log)
        assert found, self.log
        return found[1], int(found[2])

    def connect(self, command: str) -> socket.socket:
        sock = socket.create_connection(self.address, PATIENCE)
        sock.sendall(command.encode())
        return sock

    def ask(self, command: str = "info") -> Any:
        with self.connect(command) as sock:
            return json.loads(read_all(sock))

    def everyone(self, workers: int, path: Path | None = None) -> list[Any]:
        """One answer of each worker; on a busy machine one of them may take many requests in a row."""
        answers: dict[int, Any] = {}

        def all_have_answered() -> bool:
            answer = self.ask() if path is None else ask_unix(path, "info")
            answers[answer["pid"]] = answer
            return len(answers) >= workers

        until(all_have_answered, lambda: f"{workers} workers to answer", self.process)
        return list(answers.values())

    def tell(self, command: str) -> None:
        """For commands that are not answered."""
        with self.connect(command) as sock:
            read_all(sock)

    def pids(self) -> set[int]:
        """Of ready workers."""
        return set(self.ask("pids"))

    def children(self, pid: int | None = None) -> set[int]:
        assert self.process is not None
        pid = pid or self.process.pid
        return {int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    def hooks(self, event: str) -> list[str]:
        path = self.folder / "hooks"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.startswith(event + " ")]


def read_all(sock: socket.socket) -> bytes:
    data = b""
    while block := sock.recv(65536):
        data += block
    return data


def until(
    condition: Callable[[], Any], what: Callable[[], str], process: subprocess.Popen[bytes] | None = None
) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        ended = process is not None and process.poll() is not None
        assert not ended, f"the master ended with {process and process.returncode} while waiting for {what()}"
        assert time.monotonic() < deadline, f"waited in vain for {what()}"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path)
    yield server
    server.end()


@pytest.fixture(params=[False, True], ids=["plain", "preload"])
def either(request: pytest.FixtureRequest, served: Served) -> Served:
    """With workers that load the app themselves, and with preloaded ones."""
    served.write(preload=request.param)
    return served


# Start and end


def test_workers_serve_and_term_ends_everything_in_order(either: Served) -> None:
    either.start(workers=2)
    pids = either.pids()
    assert len(pids) == 2
    assert sorted(either.hooks("start")) == sorted(f"start {pid}  1" for pid in pids)
    either.signal(signal.SIGTERM)
    assert either.exit_status() == 0
    assert sorted(either.hooks("exit")) == sorted(f"exit {pid}  1" for pid in pids)
    assert not any(is_alive(pid) for pid in pids)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(either.address, 1)


def test_a_preloaded_app_is_loaded_once(served: Served) -> None:
    served.start(workers=3, preload=True)
    answers = served.everyone(3)
    [loader] = {answer["loaded_by"] for answer in answers}
    assert served.process is not None
    assert served.children() == {loader}
    assert {answer["parent"] for answer in answers} == {loader}


def test_each_worker_loads_for_itself_without_preload(served: Served) -> None:
    served.start(workers=2)
    answers = served.everyone(2)
    assert all(answer["loaded_by"] == answer["pid"] for answer in answers)


@pytest.mark.parametrize(("fast", "preload"), [(signal.SIGINT, True), (signal.SIGQUIT, False)])
def test_int_and_quit_do_not_wait_for_requests(served: Served, fast: int, preload: bool) -> None:
    served.start(workers=2, graceful_timeout=60, preload=preload)
    with served.connect("busy never"):
        started = time.monotonic()
        served.signal(fast)
        assert served.exit_status() == 0
        assert time.monotonic() - started < 10


def test_an_app_that_cannot_be_loaded_ends_the_start_with_its_traceback(either: Served) -> None:
    either.version("broken")
    either.start(workers=3, ready=False)
    assert either.exit_status() == 3
    assert either.log.count("ZeroDivisionError: as the app has it") == 1
    assert "importing 'shop' failed" in either.log
    assert "cannot start" in either.log
    assert len(either.hooks("start")) <= 3, "no respawn loop"


def test_an_app_that_crashes_the_interpreter_while_it_loads_ends_the_start(served: Served) -> None:
    served.version("segfault")
    served.start(workers=2, ready=False)
    assert served.exit_status() == 3
    assert "was killed by SIGSEGV" in served.log
    assert "Fatal Python error: Segmentation fault" in served.log


def test_a_wrong_listener_is_an_error_before_anything_starts(served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        served.config["groups"][0]["binds"] = [f"127.0.0.1:{taken.getsockname()[1]}"]
        served.start(ready=False)
        assert served.exit_status() == 2
    assert "config error: address in use" in served.log
    assert served.hooks("start") == []


def test_the_pid_file_is_there_while_the_master_is(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "master.pid"
    served.start(pid=str(path))
    assert served.process is not None
    assert path.read_text() == f"{served.process.pid}\n"
    second = subprocess.run(
        [sys.executable, str(SERVER), str(tmp_path / "config.json")], capture_output=True, text=True, timeout=PATIENCE
    )
    assert second.returncode == 2
    assert f"process {served.process.pid} is running" in second.stderr
    served.signal(signal.SIGTERM)
    assert served.exit_status() == 0
    assert not path.exists()


def test_the_file_limit_is_raised_and_the_umask_set(served: Served) -> None:
    served.start(umask=0o027, prefix=("prlimit", "--nofile=64:256"))
    assert served.process is not None
    limits = Path(f"/proc/{served.ask()['pid']}/limits").read_text()
    assert re.search(r"Max open files +256 +256", limits), limits
    assert served.ask()["umask"] == "0027"


def test_unix_socket_files_go_with_the_master(served: Served, tmp_path: Path) -> None:
    served.config["groups"][0]["binds"].append("unix:app.sock")
    served.start()
    with socket.socket(socket.AF_UNIX) as client:
        before = os.getcwd()
        os.chdir(tmp_path)
        try:
            client.connect("app.sock")
        finally:
            os.chdir(before)
        client.sendall(b"info")
        assert json.loads(read_all(client))["version"] == "one"
    served.signal(signal.SIGTERM)
    assert served.exit_status() == 0
    assert not (tmp_path / "app.sock").exists()


def test_systemd_sockets_replace_the_configured_ones(served: Served, tmp_path: Path) -> None:
    served.write()
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with manager, socket.create_server(("127.0.0.1", 0)) as listener, open(tmp_path / "log", "ab") as log:
        manager.settimeout(PATIENCE)
        manager.bind(f"\0wsgikit-test-{os.getpid()}")
        script = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); "
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); os.execv(sys.argv[2], sys.argv[2:])"
        )
        command = [sys.executable, "-c", script, str(listener.fileno()), sys.executable, str(SERVER)]
        served.process = subprocess.Popen(
            [*command, str(tmp_path / "config.json")],
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
            env={**os.environ, "NOTIFY_SOCKET": f"@wsgikit-test-{os.getpid()}"},
            start_new_session=True,
        )
        served.wait_for_log("started: ")
        assert served.address == listener.getsockname()
        assert served.ask()["version"] == "one"
        served.version("two")
        served.signal(signal.SIGHUP)
        served.wait_for_log("reloaded: ")
        assert served.ask()["version"] == "two"
        served.signal(signal.SIGTERM)
        assert served.exit_status() == 0
        socket.create_connection(listener.getsockname(), PATIENCE).close()  # it waits for the next start
        told = [manager.recv(100).split(b"\n")[0] for _ in range(4)]
        assert told == [b"READY=1", b"RELOADING=1", b"READY=1", b"STOPPING=1"]


# Graceful


@needs_a_door
def test_term_lets_requests_finish_and_serves_those_that_wait(either: Served, tmp_path: Path) -> None:
    either.start(workers=1)
    with either.connect("busy go") as busy, either.connect("info") as waiting, either.connect("info") as another:
        either.signal(signal.SIGTERM)
        until(lambda: not _accepts(either.address), lambda: "new connections to be kept out")
        (tmp_path / "go").touch()
        assert json.loads(read_all(busy)) > 0
        assert json.loads(read_all(waiting))["version"] == "one"
        assert json.loads(read_all(another))["version"] == "one"
    assert either.exit_status() == 0


def _accepts(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, 0.2).close()
    except OSError:
        return False
    return True


def test_a_worker_that_does_not_leave_is_killed_at_the_deadline(served: Served) -> None:
    served.start(preload=True, workers=1, graceful_timeout=0.1)
    pid = served.ask()["pid"]
    with served.connect("wedge"):
        until(lambda: _blocks_term(pid), lambda: "the worker to be wedged")
        started = time.monotonic()
        served.signal(signal.SIGTERM)
        assert served.exit_status() == 0
        assert 1.0 < time.monotonic() - started < 8
    assert f"worker {pid} is still there: killed" in served.log


def _blocks_term(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    blocked = int(re.findall(r"SigBlk:\s+([0-9a-f]+)", status)[0], 16)
    return bool(blocked & 1 << (signal.SIGTERM - 1))


def test_workers_leave_when_the_master_is_killed(served: Served) -> None:
    served.start(preload=True, workers=2)
    pids = served.pids()
    served.signal(signal.SIGKILL)
    served.exit_status()
    until(lambda: not any(is_alive(pid) for pid in pids), lambda: f"{pids} to leave")


# Respawn


@pytest.mark.parametrize(("command", "preload"), [("crash", False), ("die", True)])
def test_a_dead_worker_is_replaced_at_once_in_its_slot(served: Served, command: str, preload: bool) -> None:
    served.start(workers=2, preload=preload)
    slots, before = served.ask("slots"), served.pids()
    served.tell(command)
    until(lambda: len(served.pids() - before) == 1, lambda: "a new worker", served.process)
    after = served.pids()
    assert len(after) == 2
    assert served.ask("slots") == slots
    assert ("ended with status 7" if command == "crash" else "was killed by SIGKILL") in served.log


def test_counts_outlive_the_worker_that_made_them(served: Served) -> None:
    served.start()
    for _ in range(5):
        served.ask()
    first = served.ask()["pid"]
    served.tell("crash")
    until(lambda: served.ask()["pid"] != first, lambda: "a new worker", served.process)
    assert served.ask("totals") >= 9


def test_a_worker_that_dies_at_once_is_replaced_ever_more_slowly(served: Served) -> None:
    served.start(workers=1)
    served.version("crashes")
    served.tell("crash")
    served.wait_for_log("the next one starts in 1 s")
    starts = len(served.hooks("start"))
    assert starts == 3, served.log  # the first, the one at once, the one after 0.5 s
    served.version("two")
    served.wait_for_log("the next one starts in 1 s")
    assert served.ask()["version"] == "two"


def test_a_worker_that_stops_serving_is_replaced(served: Served) -> None:
    served.start(workers=1)
    served.version("leaves")
    served.tell("crash")
    signs = ("stopped without being told", "ended with status 0")
    until(lambda: any(sign in served.log for sign in signs), lambda: "its end in the log", served.process)
    served.version("two")
    assert served.ask()["version"] == "two"


def test_a_wedged_worker_shows_its_stacks_and_is_replaced(served: Served) -> None:
    served.start(workers=1, worker_timeout=0.3)
    pid = served.ask()["pid"]
    with served.connect("wedge"):
        served.wait_for_log(f"worker {pid} has been stuck for 0.3 s")
        until(lambda: not is_alive(pid), lambda: "its end")
    assert served.ask()["pid"] != pid
    served.wait_for_log("in do_wedge")


def test_a_retiring_worker_leaves_only_when_its_successor_serves(either: Served) -> None:
    either.start(workers=2)
    retired = either.ask("retire")
    seen = []
    until(lambda: seen.append(either.ask()["pid"]) or not is_alive(retired), lambda: "it to leave", either.process)
    until(lambda: len(either.pids()) == 2, lambda: "two workers", either.process)
    assert retired not in either.pids()
    assert len(either.hooks("start")) == 3
    assert f"exit {retired}  1" in either.hooks("exit")


def test_a_preloader_that_is_killed_is_replaced_with_all_its_workers(served: Served) -> None:
    served.start(workers=2, preload=True)
    [preloader] = served.children()
    before = served.pids()
    served.version("two")
    os.kill(preloader, signal.SIGKILL)
    until(lambda: not any(is_alive(pid) for pid in before), lambda: "the orphans to leave", served.process)
    until(lambda: len(served.pids()) == 2 and served.ask("taken") == 3, lambda: "clean slots", served.process)
    assert served.ask()["version"] == "two"
    assert not before & served.pids()


# Reload


def test_hup_replaces_the_workers_by_new_code_and_configuration(either: Served) -> None:
    either.start(workers=1)
    before = either.pids()
    address = either.address
    either.version("two")
    either.config["groups"][0].update(workers=2, env={"GROUP_NAME": "fresh"})
    either.write()
    either.signal(signal.SIGHUP)
    either.wait_for_log("reloaded: 2 workers are ready")
    until(lambda: not any(is_alive(pid) for pid in before), lambda: "the old ones to leave", either.process)
    answers = either.everyone(2)
    assert either.address == address
    assert {answer["version"] for answer in answers} == {"two"}
    assert {answer["generation"] for answer in answers} == {2}
    assert {answer["env"] for answer in answers} == {"fresh"}


@pytest.mark.parametrize(
    ("failure", "preload"),
    [("broken", False), ("broken", True), ("crashes", True), ("segfault", False), ("hangs", False), ("hangs", True)],
)
def test_a_failing_reload_leaves_the_old_workers_in_place(served: Served, failure: str, preload: bool) -> None:
    served.start(workers=2, preload=preload)
    before = served.pids()
    served.version(failure)
    served.write(start_timeout=0.5)
    served.signal(signal.SIGHUP)
    served.wait_for_log("reload failed, the running workers stay")
    assert served.pids() == before
    assert {served.ask()["version"] for _ in range(10)} == {"one"}
    served.version("three")
    served.write(start_timeout=30)
    served.signal(signal.SIGHUP)
    served.wait_for_log("reloaded: ")
    until(lambda: not any(is_alive(pid) for pid in before), lambda: "the old ones to leave", served.process)
    assert {served.ask()["version"] for _ in range(10)} == {"three"}


def test_a_broken_configuration_or_listener_leaves_all_as_it_is(served: Served) -> None:
    served.start(workers=1)
    before = served.pids()
    (served.folder / "config.json").write_text("{")
    served.signal(signal.SIGHUP)
    served.wait_for_log("JSONDecodeError")
    served.config["groups"][0]["binds"] = ["127.0.0.1:0", "nonsense"]
    served.write()
    served.signal(signal.SIGHUP)
    served.wait_for_log("bind 'nonsense': allowed are")
    assert served.pids() == before


@needs_ipv6
def test_hup_opens_and_closes_listeners(served: Served) -> None:
    served.start(workers=1)
    first = served.address
    served.config["groups"][0]["binds"] = ["[::1]:0"]
    served.write()
    served.signal(signal.SIGHUP)
    served.wait_for_log("reloaded: ")
    port = re.findall(r"listening on http://\[::1\]:([0-9]+)", served.log)[0]
    with socket.create_connection(("::1", int(port)), PATIENCE) as sock:
        sock.sendall(b"info")
        assert json.loads(read_all(sock))["generation"] == 2
    until(lambda: not _accepts(first), lambda: "the old address to be closed")


def test_many_hups_end_with_the_newest_code_and_lose_no_request(either: Served) -> None:
    either.start(workers=2)
    answers = []
    for number in range(6):
        either.version(f"v{number}")
        either.signal(signal.SIGHUP)
        answers += [either.ask()["version"] for _ in range(10)]
    until(lambda: either.ask()["version"] == "v5", lambda: "the newest code", either.process)
    until(lambda: len(either.pids()) == 2, lambda: "two workers", either.process)
    assert len(answers) == 60
    assert "killed" not in either.log


def test_term_during_a_reload_ends_old_and_new(either: Served) -> None:
    either.start(workers=1)
    either.version("hangs")
    either.signal(signal.SIGHUP)
    until(lambda: len(either.children()) == 2, lambda: "a new worker")
    new = either.children()
    either.signal(signal.SIGTERM)
    assert either.exit_status() == 0
    assert not any(is_alive(pid) for pid in new)


# Other signals


def test_ttin_and_ttou_change_the_number_until_hup(either: Served) -> None:
    either.start(workers=1)
    # One at a time: signals of one kind merge while they are pending.
    for number, wanted in ((signal.SIGTTIN, 2), (signal.SIGTTIN, 3), (signal.SIGTTOU, 2), (signal.SIGTTOU, 1)):
        either.signal(number)
        until(lambda wanted=wanted: len(either.pids()) == wanted, lambda: "another number", either.process)
    either.signal(signal.SIGTTIN)
    until(lambda: len(either.pids()) == 2, lambda: "two workers", either.process)
    either.signal(signal.SIGHUP)
    either.wait_for_log("reloaded: 1 worker is ready")
    until(lambda: len(either.pids()) == 1, lambda: "one worker", either.process)


def test_usr1_reopens_logs_in_master_and_workers(served: Served) -> None:
    served.start(preload=True, workers=2)
    pids = served.pids()
    served.signal(signal.SIGUSR1)
    wanted = {str(pid) for pid in pids} | {str(served.process.pid if served.process else 0)}
    path = served.folder / "reopened"
    until(lambda: path.exists() and wanted <= set(path.read_text().split()), lambda: f"{wanted}", served.process)


def test_usr2_says_what_to_use_instead(served: Served) -> None:
    served.start()
    served.signal(signal.SIGUSR2)
    served.wait_for_log("let systemd hold the sockets")
    assert served.ask()["version"] == "one"


# Groups


def test_groups_have_their_own_workers_environment_and_private_sockets(served: Served) -> None:
    served.config["groups"] += [
        {"name": "shop", "workers": 2, "env": {"GROUP_NAME": "the shop"}},
        {"name": "wiki", "workers": 1, "preload": True},
    ]
    served.start(workers=1)
    front = served.ask()
    assert set(front["groups"]) == {"shop", "wiki"}
    assert front["env"] == ""
    answers: dict[str, list[dict[str, Any]]] = {}
    for name, address in front["groups"].items():
        path = Path(address.removeprefix("unix:"))
        assert path.parent.stat().st_mode & 0o777 == 0o700
        answers[name] = served.everyone(2 if name == "shop" else 1, path)
    assert {answer["group"] for answer in answers["shop"]} == {"shop"}
    assert {answer["env"] for answer in answers["shop"]} == {"the shop"}
    assert {answer["env"] for answer in answers["wiki"]} == {""}
    assert {answer["loaded_by"] != answer["pid"] for answer in answers["wiki"]} == {True}
    assert served.ask("listeners"), "the front worker holds the public listener"
    assert ask_unix(path, "listeners") == [], "nobody else does"
    served.signal(signal.SIGTERM)
    assert served.exit_status() == 0
    assert not path.parent.exists()


@needs_a_door
def test_groups_outlive_those_that_forward_to_them(served: Served, tmp_path: Path) -> None:
    served.config["groups"].append({"name": "shop"})
    served.start()
    path = Path(served.ask()["groups"]["shop"].removeprefix("unix:"))
    with served.connect("busy go") as busy:
        served.signal(signal.SIGTERM)
        until(lambda: not _accepts(served.address), lambda: "the front to be shut")
        assert ask_unix(path, "info")["group"] == "shop"
        (tmp_path / "go").touch()
        assert json.loads(read_all(busy)) > 0
    assert served.exit_status() == 0
    assert not path.exists()


def ask_unix(path: Path, command: str) -> Any:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(path))
        client.sendall(command.encode())
        return json.loads(read_all(client))


def nobody_can_import() -> bool:
    """A checkout below a private folder is closed to other users."""
    return all(folder.stat().st_mode & 0o001 for folder in Path(__file__).resolve().parents)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may change the user")
@pytest.mark.parametrize("preload", [False, True])
def test_workers_run_as_another_user_and_the_master_does_not(preload: bool) -> None:
    nobody = pwd.getpwnam("nobody")
    if not nobody_can_import():
        pytest.skip("the user nobody cannot read this checkout")
    # pytest's folders are for one user only.
    with tempfile.TemporaryDirectory(prefix="wsgikit-test-", dir="/tmp") as name:
        os.chmod(name, 0o777)
        server = Served(Path(name))
        server.config["groups"][0]["binds"].append("unix:app.sock")
        try:
            server.start(user="nobody", preload=preload)
            answer = server.ask()
            assert answer["uid"] == nobody.pw_uid
            assert (server.folder / "app.sock").stat().st_uid == nobody.pw_uid
            assert server.process is not None
            assert Path(f"/proc/{server.process.pid}").stat().st_uid == 0
            assert (Path(f"/proc/{answer['parent']}").stat().st_uid == 0) is not preload
            server.signal(signal.SIGTERM)
            assert server.exit_status() == 0
        finally:
            server.end()


# The first process of a container


def test_as_the_first_process_it_waits_for_orphans(served: Served) -> None:
    probe = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("no new process namespace here")
    served.start(prefix=("unshare", "--pid", "--fork", "--mount-proc", "--kill-child"))
    assert served.ask()["parent"] == 1
    served.tell("orphan")
    until(lambda: served.ask("zombies") == 0, lambda: "the orphan to be waited for", served.process)
    assert served.ask()["parent"] == 1


# Development


def test_a_changed_file_restarts_the_workers(served: Served) -> None:
    watched = served.folder / "watched.cfg"
    watched.write_text("1")
    served.start(preload=True, workers=2, reload=True, reload_files=[str(watched)], reload_interval=0.05)
    before = served.pids()
    served.version("two")
    os.utime(watched, ns=(1, 1))
    served.wait_for_log("reloaded: ")
    assert f"{watched} changed: reload" in served.log
    until(lambda: not before & served.pids(), lambda: "new workers", served.process)
    assert served.ask()["version"] == "two"
    os.utime(watched, ns=(2, 2))
    until(lambda: served.log.count("reloaded: ") == 2, lambda: "one more reload", served.process)
    assert served.log.count("changed: reload") == 2, "one worker watches for all"
