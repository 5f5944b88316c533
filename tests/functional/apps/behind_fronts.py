"""What tests of web servers in front of wsgikit ask of an app: one path, one behaviour."""

from __future__ import annotations

import hashlib
import json
import os
import time
from wsgiref.util import application_uri

PLAIN = [("Content-Type", "text/plain")]


def app(environ, start_response):
    name = environ["PATH_INFO"].strip("/").partition("/")[0]
    return PATHS.get(name, nothing)(environ, start_response)


def nothing(environ, start_response):
    start_response("404 Nothing Here", PLAIN)
    return [b"the app says 404"]


def environ(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    texts = {name: value for name, value in environ.items() if type(value) is str}
    texts["raw_target"] = environ.get("wsgikit.raw_target", b"").decode("latin-1")
    texts["body"] = environ["wsgi.input"].read().decode("latin-1")
    return [json.dumps(texts).encode()]


def upload(environ, start_response):
    digest, length = hashlib.sha256(), 0
    while block := environ["wsgi.input"].read(65536):
        digest.update(block)
        length += len(block)
    start_response("200 OK", PLAIN)
    return [f"{length} {digest.hexdigest()}".encode()]


def download(environ, start_response):
    """QUERY_STRING: bytes, in blocks of 10,000 without a length."""
    start_response("200 OK", PLAIN)
    left = int(environ["QUERY_STRING"])
    while left > 0:
        yield b"0123456789" * 1000 if left >= 10000 else b"0123456789" * (left // 10)
        left -= 10000


def ticks(environ, start_response):
    """Three blocks, each after a file of that number has appeared in TICKS."""
    start_response("200 OK", [*PLAIN, ("X-Accel-Buffering", "no"), ("Cache-Control", "no-transform")])
    for number in range(3):
        deadline = time.monotonic() + 10
        while not os.path.exists(f"{os.environ['TICKS']}.{number}") and time.monotonic() < deadline:
            time.sleep(0.002)
        yield f"tick {number}\n".encode() * 2


def endless(environ, start_response):
    """Blocks until somebody closes it, which a file of the name LEFT in TICKS tells."""

    class Body:
        def __iter__(self):
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                yield b"x" * 8192
                time.sleep(0.002)

        def close(self):
            with open(f"{os.environ['TICKS']}.left", "w"):
                pass

    start_response("200 OK", [*PLAIN, ("X-Accel-Buffering", "no")])
    return Body()


def status(environ, start_response):
    """QUERY_STRING: a status code. With two cookies, and a field that servers like to make their own."""
    code = environ["QUERY_STRING"]
    headers = [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2"), ("X-Word", "caf\xe9")]
    if code in ("204", "304"):
        start_response(f"{code} Chosen", [*headers, ("ETag", '"1"')])
        return []
    start_response(f"{code} Chosen", [*headers, *PLAIN])
    return [b"status ", code.encode()]


def fail(environ, start_response):
    environ["wsgi.errors"].write("it fails on purpose\n")
    raise RuntimeError("on purpose")


def short(environ, start_response):
    """Promises 1000 bytes and breaks off after 100."""
    start_response("200 OK", [*PLAIN, ("Content-Length", "1000"), ("X-Accel-Buffering", "no")])
    yield b"x" * 100
    raise RuntimeError("on purpose")


def cut(environ, start_response):
    """Promises nothing, and breaks off."""
    start_response("200 OK", [*PLAIN, ("X-Accel-Buffering", "no")])
    for _ in range(20):
        yield b"x" * 8192
    raise RuntimeError("on purpose")


def login(environ, start_response):
    """Sends the client to another page of the app by an absolute URL, as frameworks make it, with a secure cookie."""
    fields = [("Location", application_uri(environ).rstrip("/") + "/environ"), ("Content-Length", "0")]
    if environ["wsgi.url_scheme"] == "https":
        fields.append(("Set-Cookie", "session=1; Secure"))
    start_response("302 Found", fields)
    return []


PATHS = {
    function.__name__: function
    for function in (environ, upload, download, ticks, endless, status, fail, short, cut, login)
}
