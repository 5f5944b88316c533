"""Time of one routing decision: wsgikit's Table, Werkzeug's Map, Falcon's CompiledRouter, and a bare dict.

    python bench/routes.py [--sizes 10,500,5000] [--rounds 15] [--json]

Routes are `/area17/<int:id>/item/<name>`, one per area. Every contender answers the same 2,000 random paths in turn, in
each round, so that whatever else the machine does meets all of them; the figure is the median over rounds of the
microseconds per lookup, the lowest one beside it. The dict holds the whole paths and does nothing else: it is the
price of the loop. Falcon's is left out where falcon is not installed.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator

from wsgikit.middleware.router import Match, Route, Table

LOOKUPS = 2000
Lookup = Callable[[str], object]


def main() -> int:
    """Measure and print; the status is 1 when Werkzeug is not beaten by half at every size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="10,500,5000")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [row for size in options.sizes.split(",") for row in measure(int(size), options.rounds)]
    for row in rows:
        print(
            json.dumps(row)
            if options.json
            else "{routes:>6} {name:<24} {median:8.2f} us {lowest:8.2f} us".format(**row)
        )
    return 0 if all(twice_as_fast(rows, int(size)) for size in options.sizes.split(",")) else 1


def measure(size: int, rounds: int) -> Iterator[dict[str, object]]:
    """One row a contender."""
    generator = random.Random(size)
    paths = [
        f"/area{generator.randrange(size)}/{generator.randrange(10**6)}/item/name{generator.randrange(100)}"
        for _ in range(LOOKUPS)
    ]
    lookups = contenders(size, paths)
    for name, lookup in lookups.items():
        if not lookup(paths[0]):
            raise SystemExit(f"{name} does not find {paths[0]}")
    times: dict[str, list[float]] = {name: [] for name in lookups}
    for _ in range(rounds):
        for name, lookup in lookups.items():
            times[name].append(timed(lookup, paths))
    for name, taken in times.items():
        yield {"routes": size, "name": name, "median": statistics.median(taken), "lowest": min(taken)}


def timed(lookup: Lookup, paths: list[str]) -> float:
    """Microseconds a lookup."""
    start = time.perf_counter()
    for path in paths:
        lookup(path)
    return (time.perf_counter() - start) / len(paths) * 1e6


def contenders(size: int, paths: list[str]) -> dict[str, Lookup]:
    """Name to lookup; each gives what its framework needs to call the handler: a route and converted values."""
    everything: dict[str, Lookup] = {"dict of whole paths": dict.fromkeys(paths, True).get, "wsgikit Table": ours(size)}
    everything["werkzeug Map"] = werkzeugs(size)
    falcons = falcon(size)
    return {**everything, "falcon CompiledRouter": falcons} if falcons else everything


def ours(size: int) -> Lookup:
    table = Table([Route(f"/area{number}/<int:id>/item/<name>", nothing) for number in range(size)])

    def lookup(path: str) -> object:
        match = table.resolve("GET", path)
        return isinstance(match, Match) and match.variables

    return lookup


def werkzeugs(size: int) -> Lookup:
    from werkzeug.routing import Map, Rule

    rules = [Rule(f"/area{number}/<int:id>/item/<name>", endpoint=number) for number in range(size)]
    adapter = Map(rules).bind("localhost")
    adapter.match("/area0/1/item/x")  # it sorts its rules at the first match
    return lambda path: adapter.match(path, "GET")


def falcon(size: int) -> Lookup | None:
    try:
        from falcon.routing import CompiledRouter
    except ImportError:
        return None

    class Resource:
        def on_get(self, request: object, response: object, **values: object) -> None:
            pass

    router = CompiledRouter()
    for number in range(size):
        router.add_route(f"/area{number}/{{id:int}}/item/{{name}}", Resource())
    router.find("/area0/1/item/x")  # it compiles at the first find
    found: Lookup = router.find
    return found


def nothing(environ: dict[str, object], start_response: Callable[..., object]) -> list[bytes]:
    return []


def twice_as_fast(rows: list[dict[str, object]], size: int) -> bool:
    medians = {str(row["name"]): float(str(row["median"])) for row in rows if row["routes"] == size}
    return medians["wsgikit Table"] < medians["werkzeug Map"] / 2


if __name__ == "__main__":
    sys.exit(main())
