"""What the tests of the transformation share: a folder of stylesheets with secrets beside it, and engines over it."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from wsgi_gateway import drive, make_environ

from wsgikit.middleware.xslt import XSLT
from wsgikit.middleware.xslt.engine import Parameter, Result, Source, make_engine
from wsgikit.middleware.xslt.policy import Limits, policy_from
from wsgikit.middleware.xslt.space import Folders, file_uri

ATTACKS = Path(__file__).parent / "attacks"
HEAD = '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'


class Bench:
    """A folder `sheets` that is a root, and what lies beside it."""

    def __init__(self, folder: Path) -> None:
        self.outside = folder
        self.root = folder / "sheets"
        self.root.mkdir()
        self.words = {"OUTSIDE": str(folder).lstrip("/"), "TARGET": str(self.root / "written.xml")}
        (folder / "secret.xml").write_text("<secret>the secret</secret>")
        (folder / "other.xsl").write_text(f'{HEAD}<xsl:template match="/"><other/></xsl:template></xsl:stylesheet>')

    def text(self, name: str) -> str:
        text = (ATTACKS / name).read_text()
        for word, value in self.words.items():
            text = text.replace(word, value)
        return text

    def put(self, name: str, text: str | None = None) -> str:
        """Write a file into the root (an attack without `text`); returns its path."""
        path = self.root / name
        path.write_text(self.text(name) if text is None else text)
        return str(path)

    def sheet(self, body: str, name: str = "main.xsl", head: str = HEAD) -> str:
        return self.put(name, f"{head}{body}</xsl:stylesheet>")

    def engine(self, *allow: str, roots: Any = None, engine: str = "lxml", **options: Any) -> Any:
        if "largest" in options:
            options["source"] = options.pop("largest")
        limits = Limits(**{name: options.pop(name) for name in list(options) if name in Limits.__annotations__})
        copies = options.pop("copies", 16)
        html = options.pop("html", "libxml2")
        folders = [str(root) for root in roots] if roots is not None else [str(self.root)]
        return make_engine(
            engine, policy_from([], roots=folders, allow=allow, limits=limits, **options), copies=copies, html=html
        )

    def run(self, path: str, source: str | bytes = b"<page/>", *allow: str, **options: Any) -> Result:
        given = options.pop("parameters", {})
        kind, charset = options.pop("kind", "xml"), options.pop("charset", "")
        engine = self.engine(*allow, **options)
        sheet = engine.compile(file_uri(path), Folders(engine.policy))
        data = source.encode() if isinstance(source, str) else source
        values = {name: value if isinstance(value, Parameter) else Parameter(value) for name, value in given.items()}
        result: Result = sheet.apply(Source(data, kind, charset, "page.xml"), values)
        return result


@pytest.fixture(scope="session")
def bench_class() -> type[Bench]:
    return Bench


@pytest.fixture(scope="session")
def app_class() -> type[App]:
    return App


@pytest.fixture(scope="session")
def browse() -> Callable[..., Any]:
    return through


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def network(bench: Bench) -> Iterator[Callable[[], bool]]:
    """`network()`: whether anybody has tried to connect to the port that PORT in an attack stands for."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        bench.words["PORT"] = str(listener.getsockname()[1])

        def touched() -> bool:
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                return False
            return True

        yield touched


FEED = "application/atom+xml"
HTML = (
    '<xsl:output method="html"/><xsl:param name="p"/><xsl:template match="/"><html><body>'
    '<xsl:value-of select="concat(/*, $p)"/></body></html></xsl:template>'
)


class App:
    """An app that answers with one document, and writes down what it was asked and how much was read of it."""

    def __init__(self, body: bytes = b"<page>text</page>", media: str = "application/xml", **fields: str) -> None:
        self.body = body
        self.media = media
        self.fields = fields
        self.status = "200 OK"
        self.blocks: int | None = None
        self.honours = False
        self.file = False
        self.asked: list[dict[str, Any]] = []
        self.read = self.closed = 0

    def __call__(self, environ: Any, start_response: Any) -> Any:
        self.asked.append(environ)
        headers = [(name.replace("_", "-"), value) for name, value in self.fields.items()]
        if self.honours and self.fields.get("ETag", "-") in environ.get("HTTP_IF_NONE_MATCH", ""):
            start_response("304 Not Modified", headers)
            return []
        since = environ.get("HTTP_IF_MODIFIED_SINCE")
        if self.honours and since and "HTTP_IF_NONE_MATCH" not in environ and self._unchanged(since):
            start_response("304 Not Modified", headers)
            return []
        start_response(self.status, [*([("Content-Type", self.media)] if self.media else []), *headers])
        if environ["REQUEST_METHOD"] == "HEAD":
            return []
        if self.file:
            return environ["wsgi.file_wrapper"](io.BytesIO(self.body), 10)
        if self.blocks is None:
            self.read += 1
            return [self.body]
        return _Blocks(self, self.blocks)

    @property
    def last(self) -> dict[str, Any]:
        return self.asked[-1]

    def _unchanged(self, since: str) -> bool:
        asked, mine = parsedate_to_datetime(since), parsedate_to_datetime(self.fields["Last_Modified"])
        return asked >= mine


class _Blocks:
    def __init__(self, app: App, count: int) -> None:
        self._app = app
        self._size = max(1, -(-len(app.body) // count))

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._app.body), self._size):
            self._app.read += 1
            yield self._app.body[start : start + self._size]

    def close(self) -> None:
        self._app.closed += 1


@pytest.fixture
def page_sheet(bench: Bench) -> str:
    """A stylesheet that makes HTML of any document: its text and the parameter p."""
    path = Path(bench.sheet(HTML))
    # long ago, so that it is not what decides about times
    os.utime(path, (1_000_000_000, 1_000_000_000))
    return str(path)


@pytest.fixture
def ask(page_sheet: str) -> Callable[..., Any]:
    """`ask(app, options, method=..., HTTP_ACCEPT=...)`: one request through the middleware, as a browser sends it."""

    def asking(app: Any, options: dict[str, Any] | None = None, **environ: Any) -> Any:
        given = {"stylesheet": page_sheet, "check": 0, **(options or {})}
        layer = app if isinstance(app, XSLT) else XSLT(app, **given)
        return through(layer, **environ)

    return asking


def through(layer: Any, method: str = "GET", path: str = "/page.xml", **environ: Any) -> Any:
    """One request of a browser."""
    return drive(
        layer, make_environ(method, path, **{"HTTP_ACCEPT": "text/html,application/xml;q=0.9,*/*;q=0.8", **environ})
    )
