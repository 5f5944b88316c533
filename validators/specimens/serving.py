"""The correct little server that broken ones are derived from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wsgikit.validators.app.driver import Conversation, Wrapper
from wsgikit.validators.app.request import Request


def environ_with(request: Request | None = None, **changes: Any) -> dict[str, Any]:
    """A correct environ; keyword arguments replace keys, with __ for a dot; None removes one."""
    environ = Conversation(request or Request()).environ()
    for name, value in changes.items():
        key = name.replace("__", ".")
        if value is None:
            environ.pop(key, None)
        else:
            environ[key] = value
    return environ


def start_response(status: Any, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
    """A start_response that keeps nothing."""
    return lambda data: None


def serve(app: Callable[..., Any], environ: Any, start: Callable[..., Any] = start_response) -> None:
    """Call, iterate, close."""
    result = app(environ, start)
    try:
        for _ in result:
            pass
    finally:
        if hasattr(result, "close"):
            result.close()


def plain(environ: Any, start_response: Any) -> Any:
    """An app nobody can find fault with."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello", b"world"]


def polite(environ: Any, start_response: Any) -> Any:
    """An app that uses everything it may."""
    environ["wsgi.input"].read()
    environ["wsgi.errors"].write("a caf\xe9 and a \u2603\n")
    environ["wsgi.errors"].flush()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter([b"hello", b"world"])


def wrapping(file: Any) -> Callable[..., Any]:
    """An app that returns a file by the server's wrapper."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return environ["wsgi.file_wrapper"](file, 4096)

    return app


__all__ = ["Wrapper", "environ_with", "plain", "polite", "serve", "start_response", "wrapping"]
