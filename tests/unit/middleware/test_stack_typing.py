"""What an editor and a type checker know about `Use`: the options of the factory it names."""

from __future__ import annotations

from pathlib import Path

import pytest

SOURCE = """
from __future__ import annotations
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from wsgikit.middleware import Compress, RequestId, Stack, Use, path

def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return []

def factory(app: WSGIApplication, prefix: str) -> WSGIApplication:
    return app

Stack(app, [Use(Compress, level=5), [Use(RequestId)], Use(factory, "x"), Use(Compress, level=5, when=path("/x"))])
Use("compress", level=5, when=path("/x"))
Use(Compress, levl=5)  # wrong
Use(Compress, level="5")  # wrong
Use(factory)  # wrong
Use(Compress, when="/x")  # wrong
"""


@pytest.mark.soak
def test_right_calls_pass_and_wrong_ones_do_not(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api", reason="mypy is not installed")
    file = tmp_path / "stacks.py"
    file.write_text(SOURCE)
    root = Path(__file__).parents[3]
    output, _, _ = api.run(["--strict", "--config-file", str(root / "pyproject.toml"), str(file)])
    found = {int(line.split(":")[1]) for line in output.splitlines() if "stacks.py" in line and ": error:" in line}
    assert found == {number for number, line in enumerate(SOURCE.splitlines(), 1) if line.endswith("# wrong")}, output
