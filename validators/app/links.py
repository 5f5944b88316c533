"""URLs: those the app itself links to, those in a file, and those it makes wrongly (A57)."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

from wsgikit.errors import ConfigError
from wsgikit.validators.app.baseline import Baseline
from wsgikit.validators.app.driver import Answer, Conduct
from wsgikit.validators.app.request import Request
from wsgikit.validators.app.session import Session

_ATTRIBUTES = {"a": "href", "area": "href", "link": "href", "script": "src", "img": "src", "iframe": "src"}


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = _ATTRIBUTES.get(tag)
        self.found += [value for name, value in attrs if name == wanted and value]


def links(request: Request, answer: Answer) -> Iterator[str]:
    """The targets on the same host that an answer links or redirects to, in origin form."""
    base = f"http://{request.host}{request.target}"
    addresses = [value for name, value in answer.headers if name.lower() == "location"]
    if "html" in answer.header("content-type"):
        page = _Links()
        page.feed(answer.body.decode("utf-8", "replace"))
        addresses += page.found
    for address in addresses:
        try:
            parts = urlsplit(urljoin(base, address))
        except ValueError:
            continue
        if parts.scheme in ("http", "https") and parts.netloc == request.host:
            path = quote(parts.path or "/", safe="/%!$&'()*+,;=:@~")
            yield f"{path}?{quote(parts.query, safe='%!$&()*+,;=:@~/?')}" if parts.query else path


def crawl(session: Session, requests: tuple[Request, ...], limit: int) -> tuple[Request, ...]:
    """The requests, and up to `limit` more that their answers link to, breadth first."""
    known = {one.target for one in requests}
    every = list(requests)
    at = 0
    while at < len(every) and len(every) < len(requests) + limit:
        request = every[at]
        at += 1
        for target in links(request, session.ask(request)):
            if target not in known and len(every) < len(requests) + limit:
                known.add(target)
                every.append(Request(target=target, headers=requests[0].headers, host=request.host))
    return tuple(every)


def read_urls(path: str | Path, template: Request) -> tuple[Request, ...]:
    """Requests from a file: one "/target" or "METHOD /target" a line; empty lines and those with # are skipped."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--urls {path}: {error}") from error
    requests = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        method, target = words if len(words) == 2 else ("GET", words[0])
        if len(words) > 2 or not target.startswith(("/", "*")):
            raise ConfigError(f"{path}:{number}: {line.strip()!r}; write /path or METHOD /path")
        requests.append(template.but(method=method, target=target))
    return tuple(requests)


def absolute_urls(session: Session, request: Request, base: Baseline) -> None:
    """Does the app build URLs of itself as the PEP describes (A57)? Asked with a host and a port nobody guesses."""
    session.tried("A57")
    _own_host(session, request)
    _own_port(session, request)


def _own_host(session: Session, request: Request) -> None:
    conduct = Conduct(extra={"HTTP_HOST": "outer.example:8443", "SERVER_NAME": "inner.invalid", "SERVER_PORT": "9001"})
    for address in _addresses(session.ask(request, conduct)):
        if "inner.invalid" in address:
            session.found("A57", f"{address} has SERVER_NAME where there is a Host", request, conduct)
        raw = request.target.partition("?")[0]
        if quote(quote(raw, safe="/")) in address or _twice(raw) in address:
            session.found("A57", f"{address} has the path {raw} encoded twice", request, conduct)


def _twice(raw: str) -> str:
    """What the PEP's algorithm makes of a path with bytes above 127; something impossible for others."""
    from urllib.parse import unquote_to_bytes

    text = unquote_to_bytes(raw).decode("latin-1")
    return quote(text) if not text.isascii() else "\0"


def _own_port(session: Session, request: Request) -> None:
    conduct = Conduct(environ="minimal", extra={"SERVER_NAME": "localhost", "SERVER_PORT": "9001"})
    answer = session.ask(request, conduct)
    if answer.crashed:
        return
    for address in _addresses(answer):
        if urlsplit(address).netloc == "localhost":
            session.found("A57", f"{address} lacks the port 9001", request, conduct)


def _addresses(answer: Answer) -> list[str]:
    found = [value for name, value in answer.headers if name.lower() in ("location", "content-location")]
    if "html" in answer.header("content-type"):
        page = _Links()
        page.feed(answer.body.decode("utf-8", "replace"))
        found += page.found
    return [address for address in found if "://" in address]
