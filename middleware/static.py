"""Static files: what a folder has is served, everything else goes to the app.

    Use(Static, directory="public")                          # /logo.svg is public/logo.svg
    Use(Static, directory="build/assets", at="/assets")

Options
    directory       the folder (needed)
    at              URL path of the folder ("/")
    index           file that stands for a folder ("index.html"); "" for none
    listing         show folders without an index as a page (false)
    max_age         how long clients may use a file without asking ("60s")
    immutable       a pattern (regular expression) of names that never change their content, because they have a hash in
                    them: those may be used for a year. Default: names as Django's, webpack's and most bundlers write
                    them (12 or 16 to 64 hex digits after a dot or dash); "" for none
    precompressed   use `app.js.zst`, `.br` and `.gz` beside `app.js` where the client takes them and they are not older
                    (true)
    symlinks        "inside": links may lead to anything in the folder; "none"; "any" ("inside")
    hidden          serve names that begin with a dot (false; `.well-known` always is)
    types           ending (".md") -> media type, before the built-in table ({})
    charset         for text files ("utf-8"); "" for none
    ranges          most ranges in one request; more are answered with the whole file (16)
    fallthrough     give what is not there to the app, and other methods than GET and HEAD, too (true); else 404 and 405

Every file has a strong ETag (time and size), Last-Modified, and answers If-None-Match, If-Modified-Since, If-Match,
If-Unmodified-Since, Range (one or several) and If-Range. `X-Content-Type-Options: nosniff` is set. A folder without
its last slash is redirected (308).

Nothing outside the folder can be reached: `..` (also as %2e%2e), backslashes, NUL and hidden names are not found, a
link is followed only as `symlinks` says, and what is no regular file is not opened for reading.

Streaming: a whole file is a `wsgi.file_wrapper`, which servers send without copying; under wsgikit's without a thread,
ranges too. Other servers: ranges are sent in blocks of 64 KiB.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from wsgikit.errors import ConfigError
from wsgikit.loader import require
from wsgikit.middleware.amounts import Amount, choice, seconds, whole
from wsgikit.middleware.answer import answer, send
from wsgikit.middleware.file_response import FileOptions, respond
from wsgikit.middleware.file_store import FileStore, Found, segments

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Static"]

# dates and times are digits alone, so a letter has to be among them
IMMUTABLE = r"[.-](?=[0-9]*[a-f])(?:[0-9a-f]{12}|[0-9a-f]{16,64})\.[^/]+"
_LISTED = 10_000
_MEDIA = re.compile(r"[!#$&^_.+0-9A-Za-z-]+/[!#$&^_.+0-9A-Za-z-]+(?:;[ -~]*)?")


class Static:
    """Serves a folder's files. See the module for the options."""

    traits = frozenset({"answers"})

    def __init__(
        self,
        app: WSGIApplication,
        *,
        directory: str,
        at: str = "/",
        index: str = "index.html",
        listing: bool = False,
        max_age: Amount = "60s",
        immutable: str = IMMUTABLE,
        precompressed: bool = True,
        symlinks: str = "inside",
        hidden: bool = False,
        types: Mapping[str, str] | None = None,
        charset: str = "utf-8",
        ranges: int = 16,
        fallthrough: bool = True,
    ) -> None:
        if not at.startswith("/"):
            raise ConfigError(f"at = {at!r}: has to start with '/'")
        self.app = app
        self.store = FileStore(directory, symlinks=choice(symlinks, "symlinks", ("inside", "none", "any")))
        self.at = at.rstrip("/").encode().decode("latin-1")
        if "/" in index or index in (".", ".."):
            raise ConfigError(f"index = {index!r}: the name of a file in each folder")
        require("werkzeug")
        self.index = index
        self.listing = listing
        self.hidden = hidden
        self.fallthrough = fallthrough
        self.options = FileOptions(
            max_age=int(seconds(max_age, "max_age")),
            immutable=_pattern(immutable),
            precompressed=precompressed,
            types=_types(types or {}),
            charset=charset,
            ranges=whole(ranges, "ranges", 1, 1000),
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        inside = path[len(self.at) :] if path.startswith(self.at) else None
        if inside is None or not (inside.startswith("/") or not inside):
            return self.app(environ, start_response)
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            return self._other(environ, start_response, 405, [("Allow", "GET, HEAD")])
        names = segments(inside, hidden=self.hidden)
        found = None if names is None else self.store.open(names)
        if found is None or names is None:
            return self._other(environ, start_response, 404)
        if found.is_folder:
            return self._folder(environ, start_response, found, names)
        if path.endswith("/"):
            os.close(found.fd)
            return self._other(environ, start_response, 404)
        return respond(environ, start_response, self.store, found, names, self.options)

    def _other(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        code: int,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Iterable[bytes]:
        if self.fallthrough:
            return self.app(environ, start_response)
        return answer(environ, start_response, code, "", headers)

    def _folder(
        self, environ: WSGIEnvironment, start_response: StartResponse, folder: Found, names: list[str]
    ) -> Iterable[bytes]:
        index = self.store.open([*names, self.index]) if self.index else None
        if index is not None and index.is_folder:
            index = None
        if index is None and not self.listing:
            return self._other(environ, start_response, 404)
        if not environ.get("PATH_INFO", "").endswith("/"):
            if index is not None:
                os.close(index.fd)
            return _redirect(environ, start_response)
        if index is not None:
            return respond(environ, start_response, self.store, index, [*names, self.index], self.options)
        return self._list(environ, start_response, folder, names)

    def _list(
        self, environ: WSGIEnvironment, start_response: StartResponse, folder: Found, names: list[str]
    ) -> Iterable[bytes]:
        from wsgikit.middleware.listing import listing

        shows = partial(self.store.shows, folder.path)
        title = "/" + "".join(f"{name}/" for name in names)
        try:
            body = listing(folder.path, title, shows=shows, hidden=self.hidden, most=_LISTED, up=bool(names))
        except OSError:
            return self._other(environ, start_response, 404)
        fields = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Cache-Control", "no-cache"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
        ]
        return send(environ, start_response, "200 OK", fields, body)


def _redirect(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    from urllib.parse import quote

    path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1")
    # one slash before it: "//evil.example/" would name another site (RFC 3986 4.2)
    location = "/" + quote(path.strip(b"/")) + "/" if path.strip(b"/") else "/"
    query = environ.get("QUERY_STRING", "")
    if query:
        location += "?" + quote(query, safe="!$%&'()*+,-./:;=?@_~", encoding="latin-1")
    return send(
        environ, start_response, "308 Permanent Redirect", [("Location", location), ("Content-Type", "text/plain")], b""
    )


def _types(given: Mapping[str, str]) -> dict[str, str]:
    for ending, media in given.items():
        if ending and not ending.startswith("."):
            raise ConfigError(f"types: the ending {ending!r} has to start with a dot; '' is for names without one")
        if not _MEDIA.fullmatch(media):
            raise ConfigError(f"types: {ending} = {media!r} is no media type, such as 'text/markdown'")
    return {ending.lower(): media for ending, media in given.items()}


def _pattern(text: str) -> re.Pattern[str] | None:
    if not text:
        return None
    try:
        return re.compile(text)
    except re.error as error:
        raise ConfigError(f"immutable = {text!r}: no regular expression: {error}") from None
