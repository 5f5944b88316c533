"""A real etcd (the `etcd` command) on free ports, for tests; `put` and `delete` over its HTTP gateway."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from base64 import b64encode
from pathlib import Path

from wsgikit.client import Client, ClientSettings, TlsSettings
from wsgikit.errors import UpstreamError
from wsgikit.testing import free_port, wait_until_accepts


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


class EtcdServer:
    """Listens from `__enter__` to `__exit__`; may be killed, stopped and started again with the data it had."""

    def __init__(self, folder: Path, *, certificate: tuple[str, str] = ("", "")) -> None:
        """`certificate`: speak TLS to clients, with this one and its key, and believe clients that have the same."""
        self._folder = folder
        self._certificate = certificate
        self.port = free_port()
        self._peers = f"http://127.0.0.1:{free_port()}"
        self.url = f"http{'s' if certificate[0] else ''}://127.0.0.1:{self.port}"
        self._settings = ClientSettings(tls=TlsSettings(ca=certificate[0], cert=certificate[0], key=certificate[1]))
        self.fields: list[tuple[bytes, bytes]] = []
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> EtcdServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        command = ["etcd", "--data-dir", str(self._folder / "etcd"), "--log-level", "error"]
        command += ["--listen-client-urls", self.url, "--advertise-client-urls", self.url]
        command += ["--listen-peer-urls", self._peers, "--initial-advertise-peer-urls", self._peers]
        command += ["--initial-cluster", f"default={self._peers}"]
        cert, key = self._certificate
        if cert:
            command += ["--cert-file", cert, "--key-file", key, "--client-cert-auth", "--trusted-ca-file", cert]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not wait_until_accepts(("127.0.0.1", self.port), 20):
            raise RuntimeError("etcd does not listen")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)

    def ask(self, target: bytes, body: dict[str, object]) -> dict[str, object]:
        """POST to the gateway, until it answers 200: a fresh etcd accepts before it has elected itself."""
        data = json.dumps(body).encode()
        deadline = time.monotonic() + 20
        while True:
            try:
                with Client(self.url, self._settings) as client, client.post(target, data, *self.fields) as response:
                    answer = response.read_all(1 << 20)
                    if response.status == 200:
                        found: dict[str, object] = json.loads(answer)
                        return found
            except UpstreamError:
                pass
            if time.monotonic() > deadline:
                raise RuntimeError(f"etcd does not answer {target!r}")
            time.sleep(0.05)

    def put(self, key: str, value: str, lease: str = "0") -> None:
        self.ask(b"/v3/kv/put", {"key": encoded(key), "value": encoded(value), "lease": lease})

    def delete(self, key: str) -> None:
        self.ask(b"/v3/kv/deleterange", {"key": encoded(key)})

    def lease(self, seconds: int) -> str:
        """A lease that runs out by itself: its ID."""
        return str(self.ask(b"/v3/lease/grant", {"TTL": str(seconds)})["ID"])

    def compact(self) -> None:
        """Forget the history up to now: watches from before are cancelled."""
        header = self.ask(b"/v3/kv/range", {"key": encoded("x")})["header"]
        assert isinstance(header, dict)
        self.ask(b"/v3/kv/compaction", {"revision": header["revision"]})
