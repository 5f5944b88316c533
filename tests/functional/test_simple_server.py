"""`make_server` has wsgiref's interface: its tutorials run by changing one import."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.request
from wsgiref.simple_server import demo_app

import pytest

from wsgikit import make_server
from wsgikit.testing import RawClient

TUTORIAL = """
from MODULE import make_server

def hello_world_app(environ, start_response):
    start_response("200 OK", [("Content-type", "text/plain; charset=utf-8")])
    return [b"Hello World"]

with make_server("", 0, hello_world_app) as httpd:
    print(httpd.server_port, flush=True)
    httpd.HOW()
"""


def get(port: int, path: str = "/") -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
        return bytes(response.read())


@pytest.mark.parametrize("module", ["wsgikit", "wsgiref.simple_server"])
def test_the_tutorials_program_answers_one_request(module: str) -> None:
    program = TUTORIAL.replace("MODULE", module).replace("HOW", "handle_request")
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert get(int(process.stdout.readline())) == b"Hello World"
        assert process.wait(10) == 0


def test_the_tutorials_program_serves_until_interrupted() -> None:
    program = TUTORIAL.replace("MODULE", "wsgikit").replace("HOW", "serve_forever")
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        for _ in range(3):
            assert get(port) == b"Hello World"
        process.send_signal(2)
        _, errors = process.communicate(timeout=10)
    assert b"KeyboardInterrupt" in errors  # as with wsgiref: the program decides what to make of it


@pytest.mark.parametrize("threads", [1, 4])
def test_serving_in_a_thread_and_shutting_down(threads: int) -> None:
    with make_server("127.0.0.1", 0, demo_app, threads=threads) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert b"Hello world!" in get(server.server_port)
        server.shutdown()
        thread.join(10)
        assert not thread.is_alive()


def test_the_attributes_that_programs_use() -> None:
    with make_server("127.0.0.1", 0, demo_app) as server:
        assert server.server_address == server.socket.getsockname()
        assert server.server_port == server.server_address[1]
        assert server.server_name
        assert server.fileno() == server.socket.fileno()
        assert server.get_app() is demo_app


def test_the_app_can_be_exchanged() -> None:
    with make_server("127.0.0.1", 0, demo_app) as server:

        def other(environ, start_response):
            start_response("200 OK", [])
            return [b"other"]

        server.set_app(other)
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert get(server.server_port) == b"other"
        thread.join(10)


def test_keep_alive_over_several_handle_requests() -> None:
    with make_server("127.0.0.1", 0, demo_app) as server:

        def twice() -> None:
            server.handle_request()
            server.handle_request()

        thread = threading.Thread(target=twice)
        thread.start()
        with RawClient(("127.0.0.1", server.server_port)) as client:
            for _ in range(2):
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert client.read_response().status == 200
        thread.join(10)


def test_a_closed_server_leaves_no_descriptor_behind() -> None:
    def used() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = used()
    for threads in (1, 3):
        with make_server("127.0.0.1", 0, demo_app, threads=threads) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            get(server.server_port)
            server.shutdown()
            thread.join(10)
    assert used() == before


def test_a_taken_port_and_a_wrong_option_say_so() -> None:
    with make_server("127.0.0.1", 0, demo_app) as server:
        with pytest.raises(OSError, match=r"in use"):
            make_server("127.0.0.1", server.server_port, demo_app)
        with pytest.raises(TypeError, match="thread"):
            make_server("127.0.0.1", 0, demo_app, thread=3)
