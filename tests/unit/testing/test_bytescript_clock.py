from __future__ import annotations

import socket
import threading

import pytest

from wsgikit.testing import ByteScript, FakeClock


def test_chunks_come_one_by_one_and_are_cut() -> None:
    script = ByteScript([b"abc", b"de"])
    assert script.recv(2, socket.MSG_PEEK) == b"ab"
    assert [script.recv(2) for _ in range(4)] == [b"ab", b"c", b"de", b""]
    assert script.exhausted
    script.add(b"f")
    buffer = bytearray(4)
    assert script.recv_into(buffer) == 1
    assert buffer[:1] == b"f"


def test_errors_take_their_turn() -> None:
    script = ByteScript([b"a", ConnectionResetError(104, "reset"), TimeoutError], open_end=True)
    assert script.recv(9) == b"a"
    with pytest.raises(ConnectionResetError):
        script.recv(9)
    with pytest.raises(TimeoutError):
        script.recv(9)
    with pytest.raises(BlockingIOError):
        script.recv(9)


def test_sends_are_cut_as_the_script_says() -> None:
    script = ByteScript(takes=[1, BlockingIOError(11, "full"), 2])
    assert script.send(b"abc") == 1
    with pytest.raises(BlockingIOError):
        script.send(b"bc")
    script.sendall(b"bcd")
    assert script.sendmsg([b"e", memoryview(b"f")]) == 2
    assert script.sends == [b"a", b"bc", b"d", b"ef"]
    assert script.sent == b"abcdef"


def test_a_closed_script_refuses() -> None:
    with ByteScript([b"a"]) as script:
        script.shutdown(socket.SHUT_WR)
        script.settimeout(3)
        script.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    assert script.closed
    assert script.shut == [socket.SHUT_WR]
    assert script.gettimeout() == 3
    assert script.fileno() == -1
    for call in (lambda: script.recv(1), lambda: script.send(b"x"), lambda: script.shutdown(0)):
        with pytest.raises(OSError, match="closed"):
            call()


def test_the_clock_moves_when_told() -> None:
    clock = FakeClock(10.0, epoch=500.0)
    clock.advance(2.5)
    clock.sleep(1.5)
    assert (clock(), clock.monotonic(), clock.time()) == (14.0, 14.0, 504.0)
    clock.set_time(100.0)
    assert (clock.monotonic(), clock.time()) == (14.0, 100.0)
    with pytest.raises(ValueError, match="go back"):
        clock.advance(-1)


def test_waiters_wake_up() -> None:
    clock = FakeClock(0.0)
    reached: list[bool] = []
    thread = threading.Thread(target=lambda: reached.append(clock.wait_until(5.0)))
    thread.start()
    clock.advance(2.0)
    assert not reached
    clock.advance(3.0)
    thread.join(5)
    assert reached == [True]
    assert clock.wait_until(6.0, timeout=0.01) is False
