"""Probes for a load balancer: /-/health says that the worker lives, /-/ready asks the till.

wsgikit serve examples.stacks.health:app
curl -si http://127.0.0.1:8000/-/ready
"""

from __future__ import annotations

from examples.stacks.shop import shop
from wsgikit.middleware import Health, Stack, Use


def till_answers() -> bool:
    return True


app = Stack(
    shop,
    [Use(Health, checks={"till": till_answers})],
)
