"""Noise on the gateway wires: no decoder and no server does anything with it but refuse it, in bounded memory."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from gateway_fuzz import DECODERS, damage, fastcgi, run, scgi, summary, uwsgi

from wsgikit.errors import Disconnected, PeerTimeout
from wsgikit.testing import RawClient, ServerProcess, free_port
from wsgikit.wire.scgi import format_scgi

SEED = 21
GOOD = format_scgi([(b"REQUEST_METHOD", b"GET"), (b"REQUEST_URI", b"/hello"), (b"PATH_INFO", b"/hello")], 0)


@pytest.mark.parametrize("rounds", [60, pytest.param(1500, marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", DECODERS)
def test_decoders(name: str, rounds: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")
    ends, most = run(name, rounds, random.Random(f"{SEED} {name}"))
    print(summary(name, ends, most))
    assert ends.total() == rounds
    assert len(ends) > 1


@pytest.mark.parametrize("rounds", [60, pytest.param(1500, marks=pytest.mark.soak)])
@pytest.mark.parametrize("mode", ["spool", "stream"])
def test_a_server_goes_on(serving, rounds: int, mode: str) -> None:
    """All three wires of one worker, and no memory that stays."""
    ports = {wire: free_port() for wire in ("fastcgi", "uwsgi")}
    bind = [part for wire, port in ports.items() for part in ("-b", f"{wire}://127.0.0.1:{port}")]
    server = serving("--threads", "2", "--body", mode, *bind, bind="scgi://{host}:{port}")
    ports["scgi"] = server.port
    rng = random.Random(f"{SEED} {mode}")
    resident = 0
    for number in range(rounds):
        wire, make = rng.choice((("scgi", scgi), ("uwsgi", uwsgi), ("fastcgi", fastcgi)))
        data = damage(make(rng), rng) if rng.random() < 0.8 else rng.randbytes(300)
        _converse(("127.0.0.1", ports[wire]), data)
        if number == rounds // 2:
            resident = _resident(server)
    with RawClient(server.address) as client:
        client.send(GOOD)
        assert client.read_until_close().endswith(b"hello")
    assert _resident(server) < resident + 20 * 1024 * 1024
    assert "Traceback" not in server.output
    assert "an error in wsgikit itself" not in server.output


def _converse(address: tuple[str, int], data: bytes) -> None:
    with RawClient(address, timeout=10, strict=False) as client:
        try:
            client.send(data)
            client.half_close()
            client.read_until_close(timeout=10)
        except Disconnected:
            pass
        except PeerTimeout:
            raise AssertionError(f"the server neither answers nor closes: {data!r}") from None


def _resident(server: ServerProcess) -> int:
    """Bytes of the server's processes."""
    group = [path for path in Path("/proc").glob("[0-9]*/stat") if f" {server.pid} {server.pid} " in _read(path)]
    return sum(int(_read(path.with_name("statm")).split()[1]) * 4096 for path in group)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return "0 0"
