"""What the tests of the transformation share: a folder of stylesheets with secrets beside it, and engines over it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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
