"""A Flask app as its tutorial would have it: uploads, a stream, a session."""

from __future__ import annotations

import hashlib

from flask import Flask, Response, request, session

app = Flask(__name__)
app.secret_key = "only for tests"


@app.get("/")
def index():
    return "flask"


@app.post("/upload")
def upload():
    file = request.files["file"]
    return {"name": file.filename, "sha256": hashlib.sha256(file.read()).hexdigest(), "note": request.form["note"]}


@app.post("/raw")
def raw():
    return hashlib.sha256(request.get_data()).hexdigest()


@app.get("/stream")
def stream():
    return Response((f"{number}\n" for number in range(1000)), mimetype="text/plain")


@app.post("/login")
def login():
    session["user"] = request.form["user"]
    return "ok"


@app.get("/whoami")
def whoami():
    return session.get("user", "nobody")
