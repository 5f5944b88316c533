"""The state of all balancers in Prometheus's text format (version 0.0.4). Owns names, types and labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wsgikit.middleware.balancer import board as cells

_STATES = ("up", "warming", "backup", "draining", "ejected", "down")
_COUNTERS = {
    "requests": "Requests given to the endpoint.",
    "failures": "Requests that got no answer, or a broken one.",
    "timeouts": "Failures that were timeouts.",
    "connect_failures": "Failures to connect.",
    "retries": "Requests that were given to another endpoint after this one failed.",
    "server_errors": "Answers with a status of 500 or above.",
    "client_left": "Requests whose client left, or broke its own body.",
    "refused": "Requests that passed the endpoint over, or waited, as it had its max_connections.",
    "times_ejected": "Times the endpoint was ejected.",
}


def metrics(snapshot: dict[str, Any]) -> str:
    """The exposition of a snapshot."""
    return "\n".join([*_lines(snapshot), ""])


def _lines(snapshot: dict[str, Any]) -> Iterator[str]:
    rows = [(upstream, endpoint) for upstream in snapshot["upstreams"] for endpoint in upstream["endpoints"]]
    for name, text in _COUNTERS.items():
        yield from _head(f"wsgikit_upstream_{name}_total", "counter", text)
        for upstream, endpoint in rows:
            yield f"wsgikit_upstream_{name}_total{_labels(upstream, endpoint)} {endpoint[name]}"
    yield from _head("wsgikit_upstream_in_flight", "gauge", "Requests under way.")
    for upstream, endpoint in rows:
        yield f"wsgikit_upstream_in_flight{_labels(upstream, endpoint)} {endpoint['in_flight']}"
    yield from _head("wsgikit_upstream_state", "gauge", "1 for the state the endpoint is in.")
    for upstream, endpoint in rows:
        for state in _STATES:
            value = int(state == endpoint["state"])
            yield f"wsgikit_upstream_state{_labels(upstream, endpoint, state=state)} {value}"
    yield from _head("wsgikit_upstream_first_byte_seconds", "histogram", "Time to the first byte of the answer.")
    for upstream, endpoint in rows:
        yield from _histogram(upstream, endpoint)
    yield from _head("wsgikit_upstream_breaker_open", "gauge", "1 while the circuit breaker is open.")
    for upstream in snapshot["upstreams"]:
        if "breaker" in upstream:
            label, value = _text(upstream["name"]), int(upstream["breaker"]["open"])
            yield f'wsgikit_upstream_breaker_open{{upstream="{label}"}} {value}'


def _histogram(upstream: dict[str, Any], endpoint: dict[str, Any]) -> Iterator[str]:
    name = "wsgikit_upstream_first_byte_seconds"
    seen, total = 0, 0.0
    below = 0.0
    for count, bound in zip(endpoint["histogram"], cells.bounds(), strict=True):
        seen += count
        # the sum is not counted: the middle of each bucket stands for what is in it
        total += count * (below + bound) / 2
        below = bound
        yield f"{name}_bucket{_labels(upstream, endpoint, le=f'{bound:.6g}')} {seen}"
    yield f"{name}_bucket{_labels(upstream, endpoint, le='+Inf')} {seen}"
    yield f"{name}_sum{_labels(upstream, endpoint)} {total:.6g}"
    yield f"{name}_count{_labels(upstream, endpoint)} {seen}"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _labels(upstream: dict[str, Any], endpoint: dict[str, Any], **more: str) -> str:
    labels = {"upstream": upstream["name"], "endpoint": endpoint["url"], **more}
    return "{" + ",".join(f'{name}="{_text(value)}"' for name, value in labels.items()) + "}"


def _text(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
