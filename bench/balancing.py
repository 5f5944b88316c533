"""How each algorithm copes with one slow endpoint: a simulation. `python bench/balancing.py [--write]`.

Ten endpoints serve 16 requests at a time each, in 20 ms on average (exponential); the tenth needs 400 ms. Requests come
at random (Poisson), half of what nine endpoints could take. The algorithms are the real ones, over a simulated clock.
With four workers each knows its own requests alone. --write puts table and plot into docs/.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wsgikit.client import ClientSettings
from wsgikit.middleware.balancer.algorithms import LeastRequest, PeakEwma, PowerOfTwo, Random, RoundRobin
from wsgikit.middleware.balancer.endpoint import Endpoint, EndpointSpec
from wsgikit.middleware.balancer.hashing import ConsistentHash

DOCS = Path(__file__).parent.parent / "docs"
ENDPOINTS, SLOTS, MEAN, SLOW = 10, 16, 0.020, 0.400
RATE = 0.5 * (ENDPOINTS - 1) * SLOTS / MEAN
WARM_UP, SECONDS = 5.0, 20.0
QUANTILES = (0.5, 0.9, 0.99, 0.999)
MARK = "<!-- simulation: python bench/balancing.py --write -->"


@dataclass
class Server:
    """One endpoint as it is: requests at work and in its queue."""

    mean: float
    busy: int = 0
    queue: deque[tuple[float, int]] = field(default_factory=deque)
    served: int = 0


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


ALGORITHMS: dict[str, Callable[[Clock], Any]] = {
    "random": lambda clock: Random(),
    "round-robin": lambda clock: RoundRobin(),
    "hash": lambda clock: ConsistentHash("path"),
    "least-request": lambda clock: LeastRequest(),
    "p2c": lambda clock: PowerOfTwo(),
    "peak-ewma": lambda clock: PeakEwma(clock=clock),
}


class Simulation:
    """One algorithm with some workers. `latencies` are in seconds, of requests that came after the warm-up."""

    def __init__(self, name: str, workers: int, seed: int) -> None:
        random.seed(seed)
        self.chance = random.Random(seed)
        self.clock = Clock()
        self.servers = [Server(MEAN) for _ in range(ENDPOINTS - 1)] + [Server(SLOW)]
        self.workers = [(ALGORITHMS[name](self.clock), self._endpoints()) for _ in range(workers)]
        self.latencies: list[float] = []
        self.late = 0
        self._events: list[tuple[float, int, int, int, float]] = []
        self._number = 0

    def _endpoints(self) -> list[Endpoint]:
        specs = [EndpointSpec.parse(f"http://10.0.0.{number}:80") for number in range(1, ENDPOINTS + 1)]
        return [Endpoint(spec, "simulation", ClientSettings()) for spec in specs]

    def run(self) -> Simulation:
        arrival = 0.0
        while True:
            arrival += self.chance.expovariate(RATE)
            while self._events and self._events[0][0] <= arrival:
                self._finish()
            if arrival > WARM_UP + SECONDS:
                break
            self.clock.now = arrival
            self._arrive()
        # what is still queued has waited at least so long
        for server in self.servers:
            self.latencies += [arrival - began for began, _ in server.queue if began > WARM_UP]
        return self

    def _arrive(self) -> None:
        worker = self.chance.randrange(len(self.workers))
        algorithm, endpoints = self.workers[worker]
        environ = {"PATH_INFO": f"/{self.chance.randrange(100_000)}", "SCRIPT_NAME": ""}
        endpoint = algorithm.pick(endpoints, environ)
        endpoint.in_flight += 1
        place = endpoints.index(endpoint)
        server = self.servers[place]
        if self.clock.now > WARM_UP:
            server.served += 1
        if server.busy < SLOTS:
            self._begin(place, self.clock.now, worker)
        else:
            server.queue.append((self.clock.now, worker))

    def _begin(self, place: int, began: float, worker: int) -> None:
        server = self.servers[place]
        server.busy += 1
        self._number += 1
        end = self.clock.now + self.chance.expovariate(1 / server.mean)
        heapq.heappush(self._events, (end, self._number, place, worker, began))

    def _finish(self) -> None:
        end, _, place, worker, began = heapq.heappop(self._events)
        self.clock.now = end
        algorithm, endpoints = self.workers[worker]
        endpoints[place].in_flight -= 1
        observe = getattr(algorithm, "observe", None)
        if observe is not None:
            observe(endpoints[place], end - began)
        if began > WARM_UP:
            self.latencies.append(end - began)
        server = self.servers[place]
        server.busy -= 1
        if server.queue:
            self._begin(place, *server.queue.popleft())


def quantile(values: list[float], part: float) -> float:
    return values[min(len(values) - 1, int(part * len(values)))]


def measure(workers: int) -> dict[str, tuple[list[float], float, float]]:
    """By algorithm: sorted latencies, the slow endpoint's part of the requests, the spread of the others."""
    found = {}
    for name in ALGORITHMS:
        done = Simulation(name, workers, seed=7).run()
        served = [server.served for server in done.servers]
        others = served[:-1]
        spread = (max(others) - min(others)) / (sum(others) / len(others))
        found[name] = (sorted(done.latencies), served[-1] / sum(served), spread)
    return found


def table(results: dict[int, dict[str, tuple[list[float], float, float]]]) -> str:
    lines = [
        "| algorithm | workers | p50 | p90 | p99 | p99.9 | to the slow one | spread of the others |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in ALGORITHMS:
        for workers, found in results.items():
            latencies, slow, spread = found[name]
            times = " | ".join(shown(quantile(latencies, part)) for part in QUANTILES)
            lines.append(f"| {name} | {workers} | {times} | {slow:.1%} | {spread:.1%} |")
    return "\n".join(lines)


def shown(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


COLOURS = ("#8a8f98", "#b45f06", "#7a4fb5", "#2f8f4e", "#2f6fae", "#c4302b")


def plot(found: dict[str, tuple[list[float], float, float]]) -> str:
    """Latency over percentile, both logarithmic, so that the tail has room."""
    from math import log10

    width, height, left, bottom = 760, 420, 70, 50
    low, high = -2.5, 1.5  # 3 ms to 30 s

    def place(part: float, seconds: float) -> str:
        x = left + (width - left - 150) * -log10(1 - part) / 3.3
        y = height - bottom - (height - bottom - 20) * (log10(max(seconds, 1e-3)) - low) / (high - low)
        return f"{x:.1f},{y:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="system-ui,sans-serif" '
        'font-size="13">',
        "<style>text{fill:#333}.g{stroke:#ccc;stroke-width:1}@media(prefers-color-scheme:dark){text{fill:#ddd}"
        ".g{stroke:#444}}</style>",
    ]
    for seconds, label in ((0.01, "10 ms"), (0.1, "100 ms"), (1.0, "1 s"), (10.0, "10 s")):
        x1, y = place(0.0, seconds).split(",")
        parts.append(f'<line class="g" x1="{x1}" y1="{y}" x2="{width - 150}" y2="{y}"/>')
        parts.append(f'<text x="{left - 8}" y="{float(y) + 4}" text-anchor="end">{label}</text>')
    for part, label in ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9")):
        x = place(part, 1.0).split(",")[0]
        parts.append(f'<line class="g" x1="{x}" y1="20" x2="{x}" y2="{height - bottom}"/>')
        parts.append(f'<text x="{x}" y="{height - bottom + 20}" text-anchor="middle">{label}</text>')
    ends = []
    for (name, (latencies, _, _)), colour in zip(found.items(), COLOURS, strict=True):
        points = [place(1 - 10 ** (-step / 20), quantile(latencies, 1 - 10 ** (-step / 20))) for step in range(1, 64)]
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = points[-1].split(",")
        ends.append([float(y), float(x), name, colour])
    ends.sort()
    for above, below in itertools.pairwise(ends):
        below[0] = max(below[0], above[0] + 15)
    for y, x, name, colour in ends:
        parts.append(f'<text x="{x + 8}" y="{y + 4:.1f}" style="fill:{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulate the algorithms with one slow endpoint of ten.")
    parser.add_argument("--write", action="store_true", help="put table and plot into docs/")
    options = parser.parse_args()
    results = {workers: measure(workers) for workers in (1, 4)}
    text = table(results)
    print(text)
    if options.write:
        (DOCS / "balancing.svg").write_text(plot(results[1]))
        page = DOCS / "balancing.md"
        before, _, rest = page.read_text().partition(MARK)
        _, _, after = rest.partition("<!-- end -->")
        page.write_text(f"{before}{MARK}\n{text}\n<!-- end -->{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
