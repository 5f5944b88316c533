"""A Pyramid app that knows nothing of where it is mounted."""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.response import Response
from pyramid.view import AppendSlashNotFoundViewFactory


def hello(request: Any) -> Response:
    """Answer with a link to itself; unlike `route_path()`, `route_url()` quotes a mount that is not ASCII."""
    name = request.matchdict["name"]
    return Response(f"pyramid: hello {name}\n{request.route_url('hello', name=name)}\n", content_type="text/plain")


def folder(request: Any) -> Response:
    """/folder is redirected here by the not-found view."""
    return Response("pyramid: folder\n", content_type="text/plain")


def create() -> Any:
    """The WSGI app."""
    config = Configurator()
    config.add_route("hello", "/hello/{name}")
    config.add_view(hello, route_name="hello")
    config.add_route("folder", "/folder/")
    config.add_view(folder, route_name="folder")
    config.add_notfound_view(AppendSlashNotFoundViewFactory())
    return config.make_wsgi_app()
