"""The files of one folder: a list of them, and each by its name. A factory, called in `wsgikit.toml`."""

import mimetypes
import os
from html import escape
from pathlib import Path
from urllib.parse import quote

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Files</title>
<h1>Files</h1>
<ul>
{rows}
</ul>
"""


def create(name):
    root = Path(__file__).with_name(name)

    def app(environ, start_response):
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response("405 Method Not Allowed", [("Allow", "GET, HEAD"), ("Content-Length", "0")])
            return []
        # PATH_INFO is bytes in the clothes of Latin-1 (PEP 3333, Unicode Issues)
        wanted = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace").removeprefix("/")
        names = sorted(entry.name for entry in os.scandir(root) if entry.is_file())
        if not wanted:
            return listing(environ, start_response, names)
        # only names that the folder has are looked up, so no path can leave it
        if wanted not in names:
            return text(environ, start_response, "404 Not Found", "text/plain", b"No such file.\n")
        kind = mimetypes.guess_type(wanted)[0] or "application/octet-stream"
        return text(environ, start_response, "200 OK", kind, (root / wanted).read_bytes())

    return app


def listing(environ, start_response, names):
    # relative links would lose the mount's own path where it is asked for without a slash at the end
    base = quote(environ.get("SCRIPT_NAME", ""), encoding="latin-1")
    rows = (f'<li><a href="{base}/{quote(name)}">{escape(name)}</a></li>' for name in names)
    return text(
        environ, start_response, "200 OK", "text/html; charset=utf-8", PAGE.format(rows="\n".join(rows)).encode()
    )


def text(environ, start_response, status, kind, body):
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
