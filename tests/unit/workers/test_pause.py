"""`wsgikit.pause`: an app that waits for a descriptor holds no thread, whoever comes first to end its wait."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from contextvars import ContextVar
from math import inf
from typing import Any

import pytest
from embedded_worker import Embedded, connect
from waiting import wait_for

from wsgikit.observe.record import Access
from wsgikit.testing import RawClient
from wsgikit.workers import Worker
from wsgikit.workers.member import Member
from wsgikit.workers.pause import Wait
from wsgikit.workers.poller import READ
from wsgikit.workers.simple import make_server
from wsgikit.workers.stages import PAUSED

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
WHO: ContextVar[str] = ContextVar("WHO", default="nobody")


class Pipe:
    """What the app waits for. `begun` and `ended` count the app's calls."""

    def __init__(self) -> None:
        self.read, self.write = os.pipe()
        self.begun = threading.Semaphore(0)
        self.closed: list[str] = []
        self.seconds = 20.0
        self.client = True

    def app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        token = WHO.set(environ["PATH_INFO"])
        try:
            environ["wsgikit.pause"](self.read, self.seconds, client=self.client)
            self.begun.release()
            yield b""
            environ["wsgikit.pause"](-1, 0.0)
            start_response("200 OK", [("Content-Type", "text/plain")])
            yield f"{self._found()} {WHO.get()}".encode()
            WHO.reset(token)  # raises in another Context than it was set in
            self.closed.append("whole")
        except GeneratorExit:
            self.closed.append("cut")
            raise

    def _found(self) -> str:
        os.set_blocking(self.read, False)
        with suppress(BlockingIOError):
            return os.read(self.read, 1).decode()
        return "nothing"


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    os.close(made.read)
    os.close(made.write)


@pytest.fixture
def embedded() -> Iterator[Embedded]:
    with ExitStack() as stack:
        yield Embedded(stack)


def serve(embedded: Embedded, app: Any, **settings: Any) -> tuple[Worker, tuple[str, int]]:
    made: list[Worker] = []
    make = embedded.make

    def remembered(**options: Any) -> Worker:
        worker = make(**options)
        for acceptor in worker.acceptors.values():
            acceptor.service.app = app
        made.append(worker)
        return worker

    embedded.make = remembered  # type: ignore[method-assign]
    address = embedded.run(**settings)
    return made[0], address


@pytest.mark.parametrize("threads", [1, 2])
def test_more_requests_wait_than_there_are_threads(embedded: Embedded, pipe: Pipe, threads: int) -> None:
    _, address = serve(embedded, pipe.app, threads=threads)
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(address)) for _ in range(6)]
        for client in clients:
            client.send(GET)
        for _ in clients:
            assert pipe.begun.acquire(timeout=10)
        os.write(pipe.write, b"x" * 6)
        assert [client.read_response().body for client in clients] == [b"x /"] * 6
        assert pipe.closed == ["whole"] * 6
        clients[0].send(GET)  # the connection goes on
        os.write(pipe.write, b"y")
        assert clients[0].read_response().body == b"y /"


def test_the_time_ends_a_wait(embedded: Embedded, pipe: Pipe) -> None:
    pipe.seconds = 0.05
    _, address = serve(embedded, pipe.app, threads=2)
    times = []
    with RawClient(address) as client:
        for _ in range(3):
            begun = time.monotonic()
            client.send(GET)
            assert client.read_response().body == b"nothing /"
            times.append(time.monotonic() - begun)
    assert 0.04 < min(times) < 0.2  # sooner than housekeeping would look by itself


def test_a_client_that_leaves_ends_a_wait(embedded: Embedded, pipe: Pipe) -> None:
    worker, address = serve(embedded, pipe.app, threads=2)
    with RawClient(address) as client:
        client.send(GET)
        assert pipe.begun.acquire(timeout=10)
    wait_for(lambda: bool(pipe.closed))
    wait_for(lambda: not worker.open and not worker.parked)


def test_a_client_that_ends_its_side_may_be_left_alone(embedded: Embedded, pipe: Pipe) -> None:
    pipe.client = False
    _, address = serve(embedded, pipe.app, threads=2)
    with RawClient(address) as client:
        client.send(GET)
        assert pipe.begun.acquire(timeout=10)
        client.half_close()
        os.write(pipe.write, b"x")
        assert client.read_response().body == b"x /"


def test_a_client_that_ends_its_side_does_not_keep_an_app_busy_that_waits_on(embedded: Embedded, pipe: Pipe) -> None:
    found: list[bool] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        pause = environ["wsgikit.pause"]
        while not select.select([pipe.read], [], [], 0)[0]:
            found.append(pause.left)
            pause(pipe.read, 20.0)
            pipe.begun.release()
            yield b""
        start_response("200 OK", [])
        yield os.read(pipe.read, 1)

    _, address = serve(embedded, app, threads=2)
    with RawClient(address) as client:
        client.send(GET)
        assert pipe.begun.acquire(timeout=10)
        client.half_close()
        assert pipe.begun.acquire(timeout=10)
        assert not pipe.begun.acquire(timeout=0.2)
        assert found == [False, True]
        os.write(pipe.write, b"x")
        assert client.read_response().body == b"x"


def test_the_apps_own_deadline_does_not_run_while_it_waits(embedded: Embedded, pipe: Pipe) -> None:
    _, address = serve(embedded, pipe.app, threads=2, timeout=0.2)
    with RawClient(address) as client:
        client.send(GET)
        assert pipe.begun.acquire(timeout=10)
        time.sleep(0.6)  # three times the limit
        os.write(pipe.write, b"x")
        assert client.read_response().body == b"x /"


def test_a_descriptor_that_cannot_be_watched_ends_the_wait_at_once(embedded: Embedded, pipe: Pipe) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        with open(__file__, "rb") as file:
            environ["wsgikit.pause"](file.fileno(), 60.0)
            yield b""
            start_response("200 OK", [])
            yield file.read(3)

    _, address = serve(embedded, app, threads=2)
    with RawClient(address) as client:
        client.send(GET)
        assert client.read_response().body == b'"""'


def test_a_wish_ends_with_its_request(embedded: Embedded, pipe: Pipe) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "2")])
        if environ["PATH_INFO"] == "/wishes":
            environ["wsgikit.pause"](pipe.read, 60.0)
            yield b"ok"  # no empty block: nothing is waited for
        else:
            yield b""
            yield b"no"

    _, address = serve(embedded, app, threads=2)
    with RawClient(address) as client:
        client.send(GET.replace(b"/ ", b"/wishes "))
        assert client.read_response().body == b"ok"
        client.send(GET)
        assert client.read_response().body == b"no"


def test_a_stop_closes_what_waits_and_tells_the_app(pipe: Pipe) -> None:
    with ExitStack() as stack:
        embedded = Embedded(stack)
        worker, address = serve(embedded, pipe.app, threads=2)
        client = stack.enter_context(RawClient(address))
        client.send(GET)
        assert pipe.begun.acquire(timeout=10)
        worker.stop(0.1)
        wait_for(lambda: bool(pipe.closed))
        assert pipe.closed == ["cut"]
        assert client.closed_by_peer(5.0)


def test_a_stop_waits_for_what_waits(pipe: Pipe) -> None:
    with ExitStack() as stack:
        embedded = Embedded(stack)
        worker, address = serve(embedded, pipe.app, threads=2)
        client = stack.enter_context(RawClient(address))
        client.send(GET)
        assert pipe.begun.acquire(timeout=10)
        worker.stop(20.0)
        wait_for(lambda: worker.stopping)
        os.write(pipe.write, b"x")
        assert client.read_response().body == b"x /"


def test_a_pipelined_request_waits_its_turn(embedded: Embedded, pipe: Pipe) -> None:
    _, address = serve(embedded, pipe.app, threads=2)
    with RawClient(address) as client:
        client.send(GET + GET)
        assert pipe.begun.acquire(timeout=10)
        client.send(GET)  # comes while the first one waits
        os.write(pipe.write, b"abc")
        assert [client.read_response().body for _ in range(3)] == [b"a /", b"b /", b"c /"]


def test_what_ends_a_wait_first_has_it_alone(embedded: Embedded) -> None:
    """Descriptor, clock and client at about the same moment, many times: each request ends once."""
    ended: list[str] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        read, write = os.pipe()
        timer = threading.Timer(0.01, os.write, (write, b"x"))
        timer.start()
        try:
            environ["wsgikit.pause"](read, 0.01)
            yield b""
            start_response("200 OK", [])
            yield b"done"
        finally:
            ended.append(environ["PATH_INFO"])
            timer.join()
            environ["wsgikit.pause"](-1, 0.0)
            os.close(read)
            os.close(write)

    worker, address = serve(embedded, app, threads=4)
    for _ in range(20):
        with ExitStack() as stack:
            clients = [stack.enter_context(RawClient(address)) for _ in range(5)]
            for client in clients:
                client.send(GET)
            time.sleep(0.01)
            clients[0].half_close()
            clients[1].close()
            assert [client.read_response().body for client in clients[2:]] == [b"done"] * 3
    wait_for(lambda: len(ended) == 100)
    wait_for(lambda: not worker.parked)


def test_a_client_that_reads_nothing_holds_no_thread_once_its_app_pauses(embedded: Embedded, pipe: Pipe) -> None:
    big = b"x" * 8_000_000

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/big":
            yield big
            environ["wsgikit.pause"](pipe.read, 20.0)
            pipe.begun.release()
            yield b""
            yield os.read(pipe.read, 1)

    _, address = serve(embedded, app, threads=1)
    with RawClient(address) as reader, RawClient(address) as other:
        reader.send(GET.replace(b"/ ", b"/big "))
        assert pipe.begun.acquire(timeout=10)
        other.send(GET)
        assert other.read_response().body == b""
        os.write(pipe.write, b"y")
        assert reader.read_response(timeout=20).body == big + b"y"
        reader.send(GET)
        assert reader.read_response().body == b""


def test_a_client_that_takes_nothing_for_too_long_ends_a_pause(embedded: Embedded, pipe: Pipe) -> None:
    threads: list[str] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            yield b"x" * 8_000_000
            environ["wsgikit.pause"](pipe.read, 20.0)
            yield b""
        finally:
            threads.append(threading.current_thread().name)

    worker, address = serve(embedded, app, threads=1, send_timeout=0.2)
    with RawClient(address) as client:
        client.send(GET)
        wait_for(lambda: bool(threads))
        assert threads == ["wsgikit-1"]  # not the one that keeps time for all
        wait_for(lambda: not worker.open and not worker.parked)


def test_an_app_may_wait_for_its_clients_own_descriptor(embedded: Embedded, pipe: Pipe) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        begun = time.monotonic()
        environ["wsgikit.pause"](environ["wsgikit.client_gone"].fileno(), float(environ["QUERY_STRING"]))
        pipe.begun.release()
        yield b""
        start_response("200 OK", [])
        yield b"late" if time.monotonic() - begun > 5 else b"soon"

    worker, address = serve(embedded, app, threads=2)
    with RawClient(address) as client:
        client.send(GET.replace(b"/ ", b"/?20 "))
        assert pipe.begun.acquire(timeout=10)
        client.send(GET.replace(b"/ ", b"/?0.05 "))  # the next request is what it waits for; that one gets nothing
        assert [client.read_response(timeout=4).body for _ in range(2)] == [b"soon"] * 2
    wait_for(lambda: not worker.open and not worker.parked)


def test_a_response_that_is_complete_waits_for_nothing(embedded: Embedded, pipe: Pipe) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "2")])
        environ["wsgikit.flush_head"]()
        environ["wsgikit.pause"](pipe.read, 20.0)
        yield b""

    _, address = serve(embedded, app, threads=2)
    with RawClient(address) as client:
        client.send(2 * GET.replace(b"GET", b"HEAD"))
        assert [client.read_response("HEAD", timeout=4).status for _ in range(2)] == [200, 200]


def test_a_time_that_is_over_puts_nothing_back_under_its_number(embedded: Embedded) -> None:
    """Housekeeping may be late: the descriptor has been closed, and its number is a new connection's."""
    with ExitStack() as stack:
        worker = embedded.still()
        waiting, _ = connect(worker, stack)
        new, _ = connect(worker, stack)
        member = Member()
        wait = Wait(waiting, new.fd, 0.0)
        worker.watch(new, READ)
        worker.watch(waiting, READ)
        wait.expire(member)
        assert worker.parked == {new.fd: new, waiting.fd: waiting}
        assert list(worker.queued) == [waiting.fd]
        worker.parked.pop(waiting.fd)  # somebody serves it
        wait.expire(member)
        assert worker.parked == {new.fd: new}


def test_a_stop_that_takes_a_paused_connection_for_an_idle_one_gives_it_back(embedded: Embedded) -> None:
    with ExitStack() as stack:
        worker = embedded.still()
        connection, _ = connect(worker, stack)
        connection.stage = PAUSED
        connection.expire(Member())
        assert connection.fd >= 0
        assert worker.parked == {connection.fd: connection}


@pytest.mark.parametrize("threads", [1, 2])
def test_short_waits_end_in_time_also_beside_each_other_and_in_a_simple_server(pipe: Pipe, threads: int) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        begun = time.monotonic()
        environ["wsgikit.pause"](pipe.read, float(environ["QUERY_STRING"]))
        yield b""
        yield str(time.monotonic() - begun).encode()

    with ExitStack() as stack:
        server = stack.enter_context(make_server("127.0.0.1", 0, app, threads=threads))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        clients = [stack.enter_context(RawClient(server.server_address)) for _ in range(3)]
        lates = []
        for _ in range(3):  # a machine that is busy may be late now and then
            for client, wanted in zip(clients, (0.05, 0.1, 0.15), strict=True):
                client.send(GET.replace(b"/ ", b"/?%g " % wanted))
            took = [float(client.read_response().body) for client in clients]
            lates.append(max(each - wanted for each, wanted in zip(took, (0.05, 0.1, 0.15), strict=True)))
        assert min(lates) < 0.05


def test_the_log_tells_how_long_a_request_waited_before_it_ran_and_no_pause(embedded: Embedded, pipe: Pipe) -> None:
    records: list[Access] = []
    pipe.seconds = 0.05
    worker, address = serve(embedded, pipe.app, threads=2)
    for acceptor in worker.acceptors.values():
        acceptor.service.record = records.append
    with RawClient(address) as client:
        client.send(GET)
        client.read_response()
    wait_for(lambda: bool(records))
    assert records[0].app >= 0.05
    assert records[0].wait > 0.0  # until it ran first, not until it ran last


def test_an_app_that_lets_others_go_first_goes_on_while_its_client_is_slow(embedded: Embedded, pipe: Pipe) -> None:
    os.write(pipe.write, b"x")  # there is always more to come
    given: list[int] = []
    blocks = [bytes([number]) * 500_000 for number in range(40)]

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/much":
            for block in blocks:
                yield block
                given.append(1)
                environ["wsgikit.pause"](pipe.read, 0.0)
                yield b""

    _, address = serve(embedded, app, threads=1)
    with RawClient(address) as slow, RawClient(address) as other:
        slow.send(GET.replace(b"/ ", b"/much "))
        for _ in range(5):
            other.send(GET)
            assert other.read_response().body == b""
        assert len(given) < 40  # it takes nothing, so that no more is asked for
        assert slow.read_response(timeout=20).body == b"".join(blocks)


def test_a_wait_whose_descriptor_the_app_has_closed_ends_when_a_client_gets_its_number(embedded: Embedded) -> None:
    """Its entry would be written over, and with it the only one that knows when its time is over."""
    with ExitStack() as stack:
        worker = embedded.still()
        waiting, _ = connect(worker, stack)
        new, _ = connect(worker, stack)
        worker.watch(waiting, READ)
        worker.parked[new.fd] = Wait(waiting, new.fd, inf)
        worker.admit(new)
        assert worker.parked == {waiting.fd: waiting}
        assert list(worker.queued) == [waiting.fd]
