"""A Flask app that knows nothing of where it is mounted."""

from __future__ import annotations

from flask import Flask, Response, url_for

app = Flask(__name__)


@app.get("/hello/<name>")
def hello(name: str) -> Response:
    """Answer with a link to itself."""
    return Response(f"flask: hello {name}\n{url_for('hello', name=name)}\n", mimetype="text/plain")


@app.get("/folder/")
def folder() -> Response:
    """/folder is redirected here by Flask itself."""
    return Response("flask: folder\n", mimetype="text/plain")
