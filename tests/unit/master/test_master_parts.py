"""The small parts of the master: signals as values, pid file, users, private folders, watched files, refusal."""

from __future__ import annotations

import os
import pwd
import re
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from closed_door import needs_a_door

from wsgikit.errors import ConfigError, LoadError
from wsgikit.master.child import explain, send_report
from wsgikit.master.notify import READY, Notifier, reloading
from wsgikit.master.pidfile import PidFile
from wsgikit.master.private import PrivateFolder, check_names
from wsgikit.master.privileges import identity
from wsgikit.master.refusal import refuse_new
from wsgikit.master.settings import BindSettings
from wsgikit.master.signals import LIFELINE, SignalPipe, held_back
from wsgikit.master.sockets import close_listeners, open_listeners
from wsgikit.master.waiting import describe
from wsgikit.master.watch import Watcher

# Signals


def test_signals_arrive_as_numbers_in_their_order_and_end_a_wait() -> None:
    with SignalPipe([signal.SIGUSR1, signal.SIGUSR2]) as signals:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR2))
        timer.start()
        assert signals.wait(10) == [signal.SIGUSR2]
        timer.join()
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        assert signals.wait(10) == [signal.SIGUSR1, signal.SIGUSR2]
        assert signals.wait(0) == []


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with SignalPipe([signal.SIGUSR1]):
        assert signal.getsignal(signal.SIGUSR1) is not before
    assert signal.getsignal(signal.SIGUSR1) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_signal_of_somebody_elses_handler_is_not_ours() -> None:
    caught = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: caught.append(number))
    try:
        with SignalPipe([signal.SIGUSR1]) as signals:
            os.kill(os.getpid(), signal.SIGUSR2)
            assert signals.wait(0.01) == []
            assert caught == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_the_end_of_the_lifeline_is_told_once() -> None:
    read, write = os.pipe()
    with SignalPipe([signal.SIGUSR1], read) as signals:
        assert signals.wait(0) == []
        os.close(write)
        assert signals.wait(10) == [LIFELINE]
        assert signals.wait(0) == []
    os.close(read)


def test_a_child_that_forgets_has_no_part_in_its_parents_signals() -> None:
    with SignalPipe([signal.SIGUSR1, signal.SIGTERM]) as signals:
        with held_back() as mask:
            pid = os.fork()
            if pid == 0:
                os.kill(os.getpid(), signal.SIGTERM)  # waits, then ends us
                signals.forget()
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
        assert signals.wait(0) == []


def test_held_back_signals_come_afterwards() -> None:
    with SignalPipe([signal.SIGUSR1]) as signals:
        with held_back():
            # to this thread: one for the process would go to another thread, where the test runner has some
            signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
            assert signals.wait(0) == []
        assert signals.wait(0) == [signal.SIGUSR1]


# Pid file


def test_a_pid_file_appears_whole_and_goes(tmp_path: Path) -> None:
    file = PidFile(str(tmp_path / "pid"))
    file.write()
    assert (tmp_path / "pid").read_text() == f"{os.getpid()}\n"
    assert os.listdir(tmp_path) == ["pid"]
    file.remove()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", ["", "x", "-1", "999999999", "0"])
def test_a_stale_pid_file_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / "pid").write_text(content)
    file = PidFile(str(tmp_path / "pid"))
    file.write()
    assert file.read() == os.getpid()


def test_the_file_of_a_living_process_is_respected(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(f"{os.getppid()}\n")
    file = PidFile(str(tmp_path / "pid"))
    with pytest.raises(ConfigError, match=f"process {os.getppid()} is running"):
        file.write()
    file.remove()
    assert (tmp_path / "pid").exists()


def test_a_pid_file_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        PidFile(str(tmp_path / "no" / "pid")).write()


def test_no_pid_file() -> None:
    file = PidFile("")
    file.write()
    file.remove()


# Users


def test_nobody_asked_for_is_nobody_changed() -> None:
    assert identity("", "") is None


def test_users_by_name_and_number() -> None:
    nobody = pwd.getpwnam("nobody")
    by_name, by_number = identity("nobody", ""), identity(str(nobody.pw_uid), "")
    assert by_name == by_number
    assert by_name is not None
    assert (by_name.uid, by_name.gid, by_name.name) == (nobody.pw_uid, nobody.pw_gid, "nobody")


def test_numbers_that_no_file_knows_and_groups() -> None:
    found = identity("54321", "65432")
    assert found is not None
    assert (found.uid, found.gid, found.name) == (54321, 65432, "")
    only_group = identity("", "0")
    assert only_group is not None
    assert (only_group.uid, only_group.gid) == (os.geteuid(), 0)


def test_unknown_names_say_so() -> None:
    with pytest.raises(ConfigError, match="user 'no-such-user': there is no such user"):
        identity("no-such-user", "")
    with pytest.raises(ConfigError, match="group 'no-such-group': there is no such group"):
        identity("", "no-such-group")


# Private folders of groups


def test_a_private_folder_is_for_its_owner_only_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path}:/elsewhere")
    folder = PrivateFolder()
    assert folder.path == ""
    shop, wiki = folder.bind("shop", None), folder.bind("wiki", None)
    assert shop.address == f"unix:{folder.path}/shop.sock"
    assert wiki.address == f"unix:{folder.path}/wiki.sock"
    assert shop.mode == 0o600
    assert Path(folder.path).parent == tmp_path
    assert os.stat(folder.path).st_mode & 0o777 == 0o700
    folder.remove()
    assert os.listdir(tmp_path) == []
    folder.remove()


@pytest.mark.parametrize("name", ["../x", "a/b", "", "x" * 33, "ä", ".hidden"])
def test_a_group_name_is_a_file_name(name: str) -> None:
    with pytest.raises(ConfigError, match="a name has 1-32 letters"):
        PrivateFolder().bind(name, None)


def test_group_names_are_there_once() -> None:
    check_names(["", "a", "b"])
    with pytest.raises(ConfigError, match="group 'a' is there twice"):
        check_names(["", "a", "a"])
    with pytest.raises(ConfigError, match="two front groups"):
        check_names(["", ""])


# Watched files


def test_a_changed_file_is_found_once(tmp_path: Path) -> None:
    file = tmp_path / "app.cfg"
    file.write_text("1")
    watcher = Watcher([str(file), str(tmp_path / "not there yet")])
    assert watcher.changed() == ""
    os.utime(file, ns=(1, 1))
    assert watcher.changed() == str(file)
    assert watcher.changed() == ""


def test_imported_modules_are_watched() -> None:
    watcher = Watcher()
    assert any(path.endswith("wsgikit/master/watch.py") for path in watcher._times)


# Refusing new connections


@needs_a_door
def test_those_in_the_queue_are_served_and_new_ones_are_not_let_in() -> None:
    [listener] = open_listeners([BindSettings(address="127.0.0.1:0")])
    name = listener.sock.getsockname()
    with socket.create_connection(name, 5) as waiting:
        refuse_new([listener])
        with socket.socket() as late:
            late.settimeout(0.1)
            with pytest.raises(TimeoutError):
                late.connect(name)
        accepted, _ = listener.sock.accept()
        with accepted:
            waiting.sendall(b"ping")
            accepted.settimeout(5)
            assert accepted.recv(10) == b"ping"
    with pytest.raises(BlockingIOError):
        listener.sock.accept()
    close_listeners([listener])


def test_a_unix_socket_file_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    [listener] = open_listeners([BindSettings(address="unix:app.sock")])
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("app.sock")
        refuse_new([listener])
        assert os.listdir(tmp_path) == []
        listener.sock.accept()[0].close()
    close_listeners([listener])


def test_a_socket_from_systemd_stays_open_for_the_next_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as given:
        [listener] = open_listeners([BindSettings(address=f"fd://{os.dup(given.fileno())}")])
        refuse_new([listener])
        close_listeners([listener])
        socket.create_connection(given.getsockname(), 5).close()


# The service manager


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"@wsgikit-notify-{os.getpid()}" if abstract else "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        manager.settimeout(5)
        environ = {"NOTIFY_SOCKET": name}
        notifier = Notifier(environ)
        assert environ == {}, "children do not speak for the service"
        notifier.tell(READY)
        assert manager.recv(100) == b"READY=1"
        notifier.tell(reloading())
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=[0-9]+", manager.recv(100))
    notifier.tell(READY)  # nobody listens any more


def test_without_a_manager_nothing_is_told() -> None:
    Notifier({}).tell(READY)


# Reports


def raised(make: Callable[[], object]) -> BaseException:
    try:
        make()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def load_failure() -> None:
    try:
        _ = 1 // 0
    except ZeroDivisionError as error:
        raise LoadError("importing 'shop' failed") from error


def test_errors_are_explained_as_their_reader_needs_them() -> None:
    text = explain(raised(load_failure))
    assert text.startswith("Traceback")
    assert "ZeroDivisionError" in text
    assert text.endswith("\nimporting 'shop' failed")
    assert explain(ConfigError("wrong value")) == "wrong value"
    assert explain(raised(lambda: 1 // 0)).startswith("Traceback")


def test_a_report_never_blocks_however_long_it_is() -> None:
    read, write = os.pipe()
    assert send_report(write, ConfigError("x" * 1_000_000)) == 3
    assert len(os.read(read, 1 << 20)) == 32768
    for _ in range(3):
        send_report(write, ConfigError("x" * 1_000_000))
    os.close(read)
    os.close(write)


def test_ends_are_described() -> None:
    assert describe(3) == "ended with status 3"
    assert describe(-signal.SIGSEGV) == "was killed by SIGSEGV"
    assert describe(-signal.SIGKILL) == "was killed by SIGKILL (the system may be out of memory)"
    assert describe(-64 + 24) == "was killed by signal 40"
