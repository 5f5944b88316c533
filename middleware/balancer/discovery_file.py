"""Endpoints from a file: a line each, empty lines and `#` comments left out. Looked at every second."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from wsgikit.errors import ConfigError
from wsgikit.middleware.balancer.endpoint import EndpointSpec

_EVERY = 1.0
_LARGEST = 1 << 20


class FileSource:
    """A file of endpoints. Replace it by renaming another one over it, so that no half of it is read."""

    def __init__(self, path: str, folder: str = "", every: float = _EVERY) -> None:
        self._path = Path(folder, path)
        self._every = every

    def watch(self, found: Callable[[Sequence[EndpointSpec]], object], stop: threading.Event) -> None:
        """See `Source`. OSError: it cannot be read; ConfigError: a line is wrong."""
        seen: tuple[int, ...] = ()
        while not stop.is_set():
            stat = os.stat(self._path)
            now = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if now != seen:
                found(read(self._path))
                seen = now
            stop.wait(self._every)


def read(path: Path) -> list[EndpointSpec]:
    """The endpoints in a file. ConfigError names the line."""
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ConfigError(f"{path}: more than {_LARGEST} bytes")
    specs = []
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        text = line.partition("#")[0].strip()
        if text:
            try:
                specs.append(EndpointSpec.parse(text))
            except ConfigError as error:
                raise ConfigError(f"{path}:{number}: {error}") from None
    return specs
