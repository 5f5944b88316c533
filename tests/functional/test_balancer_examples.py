"""The examples of gateway and ZeroMQ log, as a person starts them."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import wait_for

from wsgikit.testing import ProcessLimits, RawClient, ServerProcess, free_port

EXAMPLES = Path(__file__).parents[2] / "examples"


def get(server: ServerProcess, target: str):
    with RawClient(server.address, timeout=15) as client:
        client.send(f"GET {target} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n".encode())
        return client.read_response()


def test_the_gateway_puts_a_product_together_in_three_shapes(tmp_path: Path) -> None:
    (tmp_path / "wsgikit.toml").write_text('[[mount]]\npath = "/product"\napp = "somebody_elses:app"\n')
    command = [sys.executable, str(EXAMPLES / "gateway" / "start.py"), "--port", "{port}"]
    with ServerProcess(command, limits=ProcessLimits(ready=60), cwd=tmp_path) as server:
        page = get(server, "/product/42")
        assert page.status == 200
        text = page.body.decode()
        for part in ("Teapot", "19.42 EUR", "2 left", "Ada &amp; Sons", "4.5 of 5", "No recommendations today."):
            assert part in text
        assert json.loads(get(server, "/mobile/product/42").body) == {
            "name": "Teapot", "price": 1942, "left": 2, "stars": 4.5,
        }  # fmt: skip
        rest = json.loads(get(server, "/api/v1/products/43").body)
        assert rest["missing"] == ["recommendations"]
        assert rest["parts"]["details"]["name"] == "Kettle"
        assert rest["links"]["price"] == "/services/price/43"
        assert get(server, "/product/nothing").status == 404
        assert b"/api/v1/products/42" in get(server, "/").body
        assert get(server, "/elsewhere").status == 404
        # price is balanced over two, details is not
        assert {json.loads(get(server, "/services/price/42").body)["instance"] for _ in range(6)} == {"1", "2"}
        assert {json.loads(get(server, "/services/details/42").body)["instance"] for _ in range(4)} == {"1"}
        assert get(server, "/services/recommendations/42").status == 500
        names = {upstream["name"] for upstream in json.loads(get(server, "/-/status/json").body)["upstreams"]}
        assert len(names) == 8


@pytest.mark.skipif(importlib.util.find_spec("zmq") is None, reason="pyzmq is not installed")
def test_answers_are_published_and_logged(tmp_path: Path) -> None:
    folder = EXAMPLES / "zmq-log"
    env = {"ZMQ_LOG": f"tcp://127.0.0.1:{free_port()}"}
    log = tmp_path / "subscriber.log"
    command = [sys.executable, "-m", "wsgikit", "serve", "app:app", "-b", "{host}:{port}", "--workers", "2"]
    subscriber = subprocess.Popen([sys.executable, str(folder / "subscriber.py"), str(log)], env={**os.environ, **env})
    try:
        with ServerProcess([*command, "--pythonpath", str(folder)], env=env) as server:
            for text in ("HELLO", "%C3%84RGER", "TWO%0ALINES"):
                assert get(server, f"/downcase/?text={text}").status == 200
            assert get(server, "/elsewhere").status == 404
            wait_for(lambda: log.exists() and log.read_text().count("\n") >= 3)
    finally:
        subscriber.terminate()
        subscriber.wait(10)
    lines = log.read_text().splitlines()
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00 .+", line) for line in lines)
    assert sorted(line.partition(" ")[2] for line in lines) == ["\\xe4rger", "hello", "two\\nlines"]
