"""Logs as files: whole lines from many writers, rotation, a full disk, and an app that sets up logging itself."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wsgikit.errors import ConfigError
from wsgikit.observe import access_logger, reopen_logs, set_up_error_log
from wsgikit.observe.accesslog import AccessLog
from wsgikit.observe.errorlog import LineFormatter, LineHandler, tear_down
from wsgikit.observe.linefile import LineFile
from wsgikit.observe.record import Access
from wsgikit.observe.settings import LogSettings


def access(target: bytes = b"/", **changes: Any) -> Access:
    values: dict[str, Any] = dict.fromkeys(("wait", "body", "app", "send"), 0.0) | {
        "environ": {}, "method": "GET", "remote": "192.0.2.1", "protocol": "HTTP/1.1", "status": "200 OK",
        "headers": [], "sent": 2, "started": 1795157799.0, "facts": {}, "thread": "t", "target": target,
    }  # fmt: skip
    return Access(**(values | changes))


class Collected(logging.Handler):
    """Keeps the messages of the loggers it is put on."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(f"{record.name} {record.levelname} {record.getMessage()}")


@pytest.fixture
def collected() -> Iterator[Collected]:
    handler = Collected()
    logger = logging.getLogger("wsgikit")
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel("INFO")
    logger.propagate = False
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)
    logger.propagate = propagate


@pytest.fixture
def error_log(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "error.log"
    set_up_error_log(LogSettings(error_logfile=str(path)))
    yield path
    tear_down()
    logging.getLogger("wsgikit").setLevel(logging.NOTSET)


def opened(**settings: Any) -> AccessLog:
    log = access_logger(LogSettings(**settings))
    assert log is not None
    return log


def test_off_is_no_logger_at_all() -> None:
    assert access_logger(LogSettings()) is None
    assert access_logger(LogSettings(slow_log=1.0)) is not None


def test_lines_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text("before\n")
    log = opened(access_logfile=str(path), access_logformat="%(target)s")
    log(access(b"/1"))
    log(access(b"/2"))
    log.close()
    assert path.read_text() == "before\n/1\n/2\n"


def test_lines_of_threads_and_processes_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    program = (
        "import sys, threading\n"
        "from wsgikit.observe.linefile import LineFile\n"
        "file = LineFile(sys.argv[1], 1)\n"
        "def work(n):\n"
        "    for _ in range(100): file.write(b'%d' % n * 3000 + b'\\n')\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 4)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]; file.close()\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(path)]) for _ in range(3)]
    assert [process.wait(30) for process in running] == [0, 0, 0]
    lines = path.read_text().split("\n")
    assert lines.pop() == ""
    assert len(lines) == 900
    assert {(len(line), line[0] * 3000 == line) for line in lines} == {(3000, True)}


def test_rotation_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = opened(access_logfile=str(path), access_logformat="%(target)s")
    stop = threading.Event()
    written = 0

    def work() -> None:
        nonlocal written
        while not stop.is_set():
            log(access(b"/%d" % written))
            written += 1

    writer = threading.Thread(target=work)
    writer.start()
    for number in range(20):
        path.rename(tmp_path / f"access.log.{number}")
        reopen_logs()
    stop.set()
    writer.join()
    log.close()
    lines = [line for file in tmp_path.iterdir() for line in file.read_text().split("\n") if line]
    assert sorted(lines, key=lambda line: int(line[1:])) == [f"/{number}" for number in range(written)]


def test_reopen_keeps_the_old_file_when_the_new_one_cannot_be_opened(tmp_path: Path, collected: Collected) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = opened(access_logfile=str(folder / "access.log"), access_logformat="%(target)s")
    folder.rename(tmp_path / "moved")
    reopen_logs()
    log(access(b"/kept"))
    log.close()
    assert (tmp_path / "moved" / "access.log").read_text() == "/kept\n"
    assert [message for message in collected.messages if "cannot reopen" in message]


def test_a_closed_log_is_not_reopened(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    opened(access_logfile=str(path)).close()
    path.unlink()
    reopen_logs()
    assert not path.exists()


def test_a_full_disk_is_reported_once_and_so_is_its_end(tmp_path: Path, collected: Collected) -> None:
    log = opened(access_logfile="/dev/full", access_logformat="%(target)s")
    for _ in range(3):
        log(access())
    assert log._file is not None
    assert log._file.lost == 3
    path = tmp_path / "space"
    with path.open("wb") as space:
        os.dup2(space.fileno(), log._file.fd)
    log(access(b"/again"))
    log.close()
    assert path.read_text() == "/again\n"
    assert len(collected.messages) == 2
    assert "No space left" in collected.messages[0]
    assert "3 lines are lost" in collected.messages[1]


def test_a_torn_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    file = LineFile("-", writer)
    file.write(b"a" * 40_000 + b"\n")
    file.write(b"b" * 40_000 + b"\n")  # a pipe holds 64 KiB: it takes a part
    os.set_blocking(reader, False)
    os.read(reader, 1 << 20)
    file.write(b"whole\n")
    assert os.read(reader, 1 << 20) == b"\nwhole\n"
    os.close(reader)
    os.close(writer)


def test_a_pipe_gets_lines_below_pipe_buf(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr("wsgikit.observe.accesslog.LineFile", lambda path, _, report: LineFile(path, writer, report))
    log = opened(access_logfile="-")
    environ = {"HTTP_REFERER": "\n" * 8000, "HTTP_USER_AGENT": '"' * 8000}
    log(access(b"/" + b"\xff" * 8000, environ=environ))
    line = os.read(reader, 1 << 20)
    assert line.endswith(b"\n")
    assert len(line) < 4096
    os.close(reader)
    os.close(writer)


def test_a_path_that_cannot_be_opened_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        opened(access_logfile=str(tmp_path / "missing" / "access.log"))


def test_the_access_log_can_go_through_logging(collected: Collected) -> None:
    opened(access_logfile="logging", access_logformat="%(m)s %(target)s %%s")(access(b"/%s"))
    assert collected.messages == ["wsgikit.access INFO GET /%s %s"]


def test_a_broken_record_never_raises_and_is_reported_once(tmp_path: Path, collected: Collected) -> None:
    log = opened(access_logfile=str(tmp_path / "access.log"))
    for _ in range(3):
        log(access(started="yesterday"))
    log.close()
    assert len(collected.messages) == 1
    assert "cannot format" in collected.messages[0]


def test_an_emptied_environ_is_no_error(tmp_path: Path, collected: Collected) -> None:
    path = tmp_path / "access.log"
    for form in ("json", "combined", "%({host}i)s %({x}e)s %(u)s"):
        log = opened(access_logfile=str(path), access_logformat=form, slow_log=1.0)
        log(access(environ={}, status="", headers=[], facts={}))
        log.close()
    assert len(path.read_text().split("\n")) == 4
    assert collected.messages == []


def test_the_slow_log_says_where_the_time_went(collected: Collected) -> None:
    log = opened(slow_log=2.0)
    log(access(app=1.9))
    facts = {"route": "/a b", "request_id": "r-1", "mount": "shop"}
    log(access(b"/a%20b\n", wait=0.5, body=0.25, app=1.0, send=0.25, facts=facts))
    assert collected.messages == [
        "wsgikit.slow WARNING slow: 2.000 s for GET /a%20b\\x0a HTTP/1.1 -> 200 from 192.0.2.1 in t "
        "(wait 500.0 ms, body 250.0 ms, app 1000.0 ms, send 250.0 ms) mount=shop route=/a\\x20b request_id=r-1"
    ]


def test_a_long_slow_target_is_cut(collected: Collected) -> None:
    opened(slow_log=1.0)(access(b"/x?" + b"q" * 8000, app=2.0))
    assert len(collected.messages[0]) < 1000


def test_the_error_log_has_gunicorns_form(error_log: Path) -> None:
    logging.getLogger("wsgikit.error").error("no %s", "luck")
    logging.getLogger("wsgikit.error").debug("not at this level")
    logging.getLogger("wsgikit.mount").warning("below wsgikit")
    first, second = error_log.read_text().splitlines()
    assert first.endswith(f"] [{os.getpid()}] [ERROR] no luck")
    assert second.endswith("[WARNING] below wsgikit")


def test_nobody_forges_a_line_of_the_error_log(error_log: Path) -> None:
    try:
        raise ValueError("x\n[2026-11-20 00:00:00 +0000] [1] [ERROR] forged\x1b[2J")
    except ValueError:
        logging.getLogger("wsgikit.error").exception("bad request %s", "a\n[forged]\r")
    lines = error_log.read_text().split("\n")
    assert [line for line in lines if line.startswith("[")] == lines[:1]
    assert "\x1b" not in error_log.read_text()
    assert any("forged\\x1b[2J" in line for line in lines)


def test_a_record_that_cannot_be_formatted_is_still_told(tmp_path: Path) -> None:
    file = LineFile(str(tmp_path / "error.log"), 2)
    LineHandler(file).handle(logging.LogRecord("wsgikit.error", logging.ERROR, "p", 1, "%d pieces", ("many",), None))
    file.close()
    assert (tmp_path / "error.log").read_text() == "[ERROR] cannot format '%d pieces': TypeError\n"


def test_the_error_log_is_reopened(error_log: Path, tmp_path: Path) -> None:
    logger = logging.getLogger("wsgikit.error")
    logger.error("one")
    error_log.rename(tmp_path / "old")
    reopen_logs()
    logger.error("two")
    assert "one" in (tmp_path / "old").read_text()
    assert "two" in error_log.read_text()
    assert "one" not in error_log.read_text()


def test_setting_up_twice_logs_once(error_log: Path) -> None:
    set_up_error_log(LogSettings(error_logfile=str(error_log), log_level="error"))
    logging.getLogger("wsgikit.error").error("once")
    logging.getLogger("wsgikit.error").warning("too mild now")
    assert error_log.read_text().count("\n") == 1


def test_times_of_the_error_log_have_a_zone() -> None:
    record = logging.LogRecord("n", logging.INFO, "p", 1, "m", (), None)
    assert LineFormatter().formatTime(record)[-5] in "+-"


def test_the_error_log_survives_an_apps_dictconfig(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    program = (
        "import logging, logging.config, sys\n"
        "from wsgikit.observe import revive_loggers, set_up_error_log\n"
        "from wsgikit.observe.settings import LogSettings\n"
        "log = logging.getLogger('wsgikit.error')\n"
        "set_up_error_log(LogSettings(error_logfile=sys.argv[1]))\n"
        "logging.config.dictConfig({'version': 1, 'root': {'level': 'ERROR'}})\n"
        "assert log.disabled, 'nothing to revive: this test shows nothing'\n"
        "revive_loggers()\n"
        "log.warning('still here')\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=30)
    assert "still here" in path.read_text()
