"""A gateway whose bodies go from socket to socket, and layers in front of it that must not be left out of it by that.

GATEWAY as for `gateways`. /shorter and /longer change the length and nothing else; /upper changes the body; /seen has
another `wsgi.input`, which counts, and hands everything else through; /flushed sends the head before there is a body;
/-/pipes says how many pipes are kept. With FAULTS splice(2) fails now and then, for every reason there
is, or stops early.
"""

from __future__ import annotations

import errno
import json
import os
import random

from wsgikit.middleware.balancer import Balancer
from wsgikit.middleware.forward import Forward
from wsgikit.middleware.mount import Mount
from wsgikit.workers import splice

options = json.loads(os.environ["GATEWAY"])
gateway = Forward(**options) if "to" in options else Balancer(**options)


splices = os.splice


def faulty(source, target, count, **options):
    chance = random.random()
    if chance < 0.15:
        raise OSError(random.choice((errno.EAGAIN, errno.EPERM, errno.EINVAL, errno.ENOMEM)), "as the test wants it")
    if chance < 0.5:
        count = min(count, random.choice((1, 10, 4096, 30_000)))
    return splices(source, target, count, **options)


if os.environ.get("FAULTS"):
    os.splice = faulty


def lengthened(by):
    def layer(environ, start_response):
        def start(status, headers, exc_info=None):
            length = next(int(value) for name, value in headers if name.lower() == "content-length")
            headers = [field for field in headers if field[0].lower() != "content-length"]
            return start_response(status, [*headers, ("Content-Length", str(length + by))], exc_info)

        return gateway(environ, start)

    return layer


def upper(environ, start_response):
    blocks = gateway(environ, start_response)
    try:
        for block in blocks:
            yield block.upper()
    finally:
        blocks.close()


class Counted:
    def __init__(self, stream):
        self.stream = stream
        self.count = 0

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def read1(self, size):
        block = self.stream.read1(size)
        self.count += len(block)
        return block


def seen(environ, start_response):
    counted = Counted(environ["wsgi.input"])

    def start(status, headers, exc_info=None):
        return start_response(status, [*headers, ("X-Seen", str(counted.count))], exc_info)

    return gateway({**environ, "wsgi.input": counted}, start)


def flushed(environ, start_response):
    def start(status, headers, exc_info=None):
        write = start_response(status, headers, exc_info)
        environ["wsgikit.flush_head"]()
        return write

    return gateway(environ, start)


def pipes(environ, start_response):
    start_response("200 OK", [])
    return [str(len(splice._pipes)).encode()]


layers = {
    "/shorter": lengthened(-1000),
    "/longer": lengthened(1000),
    "/upper": upper,
    "/seen": seen,
    "/flushed": flushed,
}
app = Mount({"/": gateway, "/-/pipes": pipes, **layers}, dots="pass")
