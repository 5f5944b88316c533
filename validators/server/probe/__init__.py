"""The probe: a WSGI app that does, endpoint by endpoint, what a rule is about, and tells the driver what it saw.

`application` is the app a server is started with. The first segment of the path names an endpoint; any other path
gets `echo`. Every call is reported before anything else happens, the environ with it. It runs without wsgikit: this
directory is copied next to the server under test, under the name `wsgi_probe`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any

from . import bodies, files, reading, starting
from .call import Call

ENDPOINTS: dict[str, Any] = {}
for _module in (starting, bodies, reading, files):
    ENDPOINTS.update(_module.ENDPOINTS)


def application(*args: Any, **keywords: Any) -> Any:
    """The app. It takes whatever it is given, so that a wrong call is reported and not refused."""
    call = Call(args, keywords)
    path = call.environ.get("PATH_INFO", "")
    name = path.lstrip("/").partition("/")[0] if isinstance(path, str) else ""
    return ENDPOINTS.get(name, reading.echo)(call)


class ClassApp:
    """An app that is a class: its instances are the iterables."""

    def __init__(self, environ: dict[str, Any], start_response: Any) -> None:
        self.body = Call((environ, start_response), {}).answer(b"class")

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.body)


class InstanceApp:
    """An app that is an instance with __call__; `method_app` is a bound method of one."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return Call((environ, start_response), {}).answer(b"instance")

    def method(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return Call((environ, start_response), {}).answer(b"method")


def _three_arguments(word: bytes, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return Call((environ, start_response), {}).answer(word)


def function_app(the_environment: dict[str, Any], respond: Any) -> Iterable[bytes]:
    """A function with argument names of its own."""
    return Call((the_environment, respond), {}).answer(b"function")


instance_app = InstanceApp()
method_app = InstanceApp().method
partial_app = functools.partial(_three_arguments, b"partial")
