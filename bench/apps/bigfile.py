"""1 MiB from a file: through wsgi.file_wrapper where the server has one, else in blocks of 64 KiB (PEP 3333)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

SIZE = 1024 * 1024
BLOCK = 64 * 1024
CONTENT = (b"0123456789abcdef" * (SIZE // 16))[:SIZE]


def prepare() -> str:
    """Path of the file to serve; written whole under a private name first, so that no server sees a part of it."""
    path = os.path.join(tempfile.gettempdir(), f"wsgikit-bench-{os.getuid()}.bin")
    if not os.path.exists(path) or os.path.getsize(path) != SIZE:
        private = f"{path}.{os.getpid()}"
        with open(private, "wb") as file:
            file.write(CONTENT)
        os.replace(private, path)
    return path


PATH = prepare()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    file = open(PATH, "rb")  # noqa: SIM115 - the server closes it through close() of the wrapper
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(SIZE))])
    wrapper = environ.get("wsgi.file_wrapper")
    return wrapper(file, BLOCK) if wrapper is not None else Blocks(file)


class Blocks:
    """The plain iterator of PEP 3333 for servers without wsgi.file_wrapper."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.close = file.close

    def __iter__(self) -> Blocks:
        return self

    def __next__(self) -> bytes:
        block: bytes = self.file.read(BLOCK)
        if not block:
            raise StopIteration
        return block
