"""docs/balancing.md: every option is there, and the simulation behind its table says what the page says."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import tomllib
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from wsgikit.middleware.balancer import Balancer
from wsgikit.middleware.balancer.algorithms import names
from wsgikit.middleware.balancer.options import CLIENT_NAMES
from wsgikit.middleware.balancer.settings import EjectSettings, HealthSettings, RetrySettings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "balancing.md").read_text()


def test_every_option_is_on_the_page() -> None:
    options = [name for name in inspect.signature(Balancer).parameters if name not in ("name", "options")]
    for kind in (HealthSettings, EjectSettings, RetrySettings):
        options += [field.name for field in fields(kind)]
    missing = [name for name in (*options, *CLIENT_NAMES) if f"`{name}" not in PAGE and f"{name} =" not in PAGE]
    assert missing == []
    assert [name for name in names() if f'`"{name}"`' not in PAGE] == []


def test_the_table_of_the_page_is_taken() -> None:
    text = PAGE.partition("```toml\n")[2].partition("```")[0]
    table = tomllib.loads(text)["upstream"]["shop"]
    app = Balancer.from_table("shop", table)
    assert [endpoint.spec.weight for endpoint in app.endpoints] == [1, 2, 1]
    app.close()


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    spec = importlib.util.spec_from_file_location("balancing_simulation", ROOT / "bench" / "balancing.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.SECONDS, module.WARM_UP = 3.0, 1.0
    return module


def test_who_goes_round_a_slow_endpoint(simulation: ModuleType) -> None:
    part = {}
    tail = {}
    for name in ("round-robin", "least-request", "p2c", "peak-ewma"):
        done = simulation.Simulation(name, workers=1, seed=7).run()
        served = [server.served for server in done.servers]
        part[name] = served[-1] / sum(served)
        tail[name] = simulation.quantile(sorted(done.latencies), 0.99)
    assert part["round-robin"] == pytest.approx(0.1, abs=0.001)
    assert part["least-request"] < 0.02
    assert part["p2c"] < 0.03
    assert part["peak-ewma"] < 0.005
    assert tail["round-robin"] > 1.0
    assert tail["peak-ewma"] < tail["p2c"] < 0.3
