"""Router, Mount and Rewrite between two validators: wsgiref's and our own, in every outcome they have."""

from __future__ import annotations

from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from wsgikit.middleware.mount import Deferred, Mount
from wsgikit.middleware.rewrite import Rewrite
from wsgikit.middleware.router import Route, Router
from wsgikit.validators import Lint


class Body:
    """An iterable that is not its own iterator, and counts close()."""

    closed = 0

    def __iter__(self):
        return iter([b"a", b"", b"b"])

    def close(self):
        Body.closed += 1


def app(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    assert callable(write)
    return Body() if environ["REQUEST_METHOD"] != "HEAD" else []


def broken():
    raise ImportError("no")


def between(guard):
    inner = guard(app)
    nested = Router([Route("/<int:id>", inner, methods=["GET"])])
    router = Router(
        [Route("/x/", inner, slash="redirect"), Route("/n", nested, prefix=True), Route("/<path:p>", inner)]
    )
    mount = Mount({"/r": guard(router), "/broken": Deferred(broken, "/broken"), "/only": guard(nested)})
    return guard(Rewrite(mount, rules=[{"rule": "/old/<path:p>", "path": "/r/{p}"}, {"rule": "/bad", "path": "/../x"}]))


@pytest.mark.parametrize("guard", [validator, Lint], ids=["wsgiref", "lint"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    ["/r/x/", "/r/x", "/r/n/7", "/only/7", "/only/x", "/r/a/b", "/broken", "/none", "/../x", "/old/n/7", "/bad", "/r"],
)
def test_between_validators(guard, method, path):
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "REMOTE_ADDR": "127.0.0.1",
    }
    setup_testing_defaults(environ)
    statuses = []

    def start_response(status, headers, exc_info=None):
        statuses.append(int(status[:3]))
        return lambda data: None

    before = Body.closed
    response = between(guard)(environ, start_response)
    try:
        body = b"".join(response)
    finally:
        response.close()
    assert len(statuses) == 1
    assert statuses[0] in (200, 204, 308, 400, 404, 405, 503)
    if statuses[0] == 200 and method != "HEAD":
        assert body == b"ab"
        assert Body.closed == before + 1
    elif method == "HEAD":
        assert body == b""
