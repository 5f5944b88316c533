"""Results into a table for people and into JSON. Knows nothing about how they were measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(kw_only=True)
class Result:
    """What one server did in one workload: a figure per round, or the reason why there is none."""

    server: str
    workload: str
    rate: list[float] = field(default_factory=list)  # requests/s
    p50: list[float] = field(default_factory=list)  # ms
    p99: list[float] = field(default_factory=list)  # ms
    cpu: list[float] = field(default_factory=list)  # us of the server's CPU time per request
    start: list[float] = field(default_factory=list)  # ms to the first answer (start-up only)
    worker: list[float] = field(default_factory=list)  # MiB, RSS of the largest process (start-up only)
    memory: dict[str, float] = field(default_factory=dict)  # MiB
    failed: str = ""

    def as_json(self) -> dict[str, Any]:
        figures = asdict(self)
        figures["median"] = {
            name: round(median(figures[name]), 3)
            for name in ("rate", "p50", "p99", "cpu", "start", "worker")
            if figures[name]
        }
        return figures


def load_table(results: Iterable[Result], reference: str) -> list[str]:
    """Lines of the table of a load workload, fastest first; "ratio" is the reference's rate over this server's."""
    ordered = sorted(results, key=lambda result: -median(result.rate or [0]))
    base = next((median(result.rate) for result in ordered if result.server == reference and result.rate), None)
    head = ("requests/s", "lowest", "ratio", "p50 ms", "p99 ms", "CPU us", "PSS MiB")
    lines = [f"{'':18}" + "".join(f"{name:>11}" for name in head)]
    for result in ordered:
        lines.append(f"{result.server:18}" + (failure(result) or load_row(result, base)))
    return lines


def load_row(result: Result, base: float | None) -> str:
    rate = median(result.rate)
    ratio = f"{base / rate:.2f}" if base else "-"
    cells = (
        f"{rate:,.0f}",
        f"{min(result.rate):,.0f}",
        ratio,
        f"{median(result.p50):.2f}",
        f"{median(result.p99):.2f}",
        f"{median(result.cpu):.1f}",
        f"{result.memory.get('pss', 0):.1f}",
    )
    return "".join(f"{cell:>11}" for cell in cells)


def start_table(results: Iterable[Result]) -> list[str]:
    """Lines of the table of the start-up workload, quickest first."""
    ordered = sorted(results, key=lambda result: median(result.start or [float("inf")]))
    head = ("first ms", "fastest", "CPU ms", "worker RSS", "worker PSS", "tree PSS")
    lines = [f"{'':18}" + "".join(f"{name:>11}" for name in head)]
    for result in ordered:
        lines.append(f"{result.server:18}" + (failure(result) or start_row(result)))
    return lines


def start_row(result: Result) -> str:
    cells = (
        f"{median(result.start):.0f}",
        f"{min(result.start):.0f}",
        f"{median(result.cpu) / 1000:.0f}",
        f"{median(result.worker):.1f}",
        f"{result.memory.get('worker_pss', 0):.1f}",
        f"{result.memory.get('pss', 0):.1f}",
    )
    return "".join(f"{cell:>11}" for cell in cells)


def failure(result: Result) -> str:
    return f"    failed: {result.failed}" if result.failed else ""
