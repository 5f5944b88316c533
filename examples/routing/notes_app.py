"""A small site on the router: converters, a nested router, a prefix with another WSGI app, and URL building.

wsgikit serve examples.routing.notes_app:app
wsgikit routes examples.routing.notes_app:app --match /notes/7
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from wsgikit.middleware.router import Route, Router

StartResponse = Callable[..., Any]
NOTES = {1: "Buy milk", 2: "Read PEP 3333"}


def text(start_response: StartResponse, body: str, status: str = "200 OK") -> Iterable[bytes]:
    data = body.encode()
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(data)))])
    return [data]


def variables(environ: dict[str, Any]) -> dict[str, Any]:
    """What the router took out of the path; WebOb's `req.urlvars` is the same."""
    named: dict[str, Any] = environ["wsgiorg.routing_args"][1]
    return named


def index(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    # SCRIPT_NAME of the router itself: index is called at its root, so nothing was consumed yet
    links = [app.url_for("note", {"id": number}, environ=environ) for number in NOTES]
    return text(start_response, "\n".join(links) + "\n")


def show(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    note = NOTES.get(variables(environ)["id"])
    return text(start_response, note + "\n") if note else text(start_response, "no such note\n", "404 Not Found")


def search(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    word = variables(environ)["word"]
    return text(start_response, "\n".join(note for note in NOTES.values() if word in note) + "\n")


def delete(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    return text(start_response, "deleting is not allowed here\n", "403 Forbidden")


def files(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    return text(start_response, f"{environ['SCRIPT_NAME']} serves {environ['PATH_INFO']}\n")


notes = Router(
    [
        Route("/<int:id>", show, methods=["GET"]),
        Route("/<int:id>", delete, methods=["DELETE"]),
        Route("/<word>", search, methods=["GET"], slash="both"),
    ]
)

app = Router(
    [
        Route("/", index),
        Route("/note-<int:id>", show, name="note"),
        Route("/notes", notes, prefix=True),
        Route("/files", files, prefix=True, slash="redirect"),
    ]
)
