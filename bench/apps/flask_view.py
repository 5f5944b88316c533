"""The smallest Flask app: what a server's speed means beside a framework's."""

from __future__ import annotations

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return "Hello, World!\n"
