"""The front page: links to everything that `wsgikit.toml` mounts."""

import tomllib
from html import escape
from pathlib import Path

CONFIG = tomllib.loads(Path(__file__).with_name("wsgikit.toml").read_text("utf-8"))

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>wsgikit demo</title>
<style>
  :root {{ color-scheme: light dark }}
  body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }}
  td {{ padding: .2rem 1.5rem .2rem 0 }}
</style>
<h1>Several apps, one server</h1>
<table>
{rows}
</table>
"""
ROW = '<tr><td><a href="{path}">{path}</a></td><td><code>{app}</code></td></tr>'


def app(environ, start_response):
    if environ["PATH_INFO"] not in ("", "/"):
        return answer(
            environ, start_response, "404 Not Found", "text/plain; charset=utf-8", b"Nothing is mounted here.\n"
        )
    # under a prefix the links still work: SCRIPT_NAME is the way to this app
    base = environ.get("SCRIPT_NAME", "")
    rows = [ROW.format(path=escape(base + mount["path"]), app=escape(mount["app"])) for mount in CONFIG["mount"]]
    body = PAGE.format(rows="\n".join(rows)).encode()
    return answer(environ, start_response, "200 OK", "text/html; charset=utf-8", body)


def answer(environ, start_response, status, kind, body):
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
