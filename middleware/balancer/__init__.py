"""Balancer: spread requests over several endpoints, and get by without those that fail. See docs/balancing.md.

from wsgikit.middleware.balancer import Balancer

app = Balancer(["http://10.0.0.1:8000", "http://10.0.0.2:8000 weight=2", "http://10.0.0.3:8000 backup"],
               health={"path": "/health"})

[upstream.shop]
endpoints = ["http://10.0.0.1:8000", "http://10.0.0.2:8000 weight=2"]
health = { path = "/health" }
"""

from __future__ import annotations

from wsgikit.middleware.balancer.algorithms import Algorithm, register
from wsgikit.middleware.balancer.app import Balancer
from wsgikit.middleware.balancer.endpoint import Endpoint, EndpointSpec
from wsgikit.middleware.balancer.upstream import Unavailable

__all__ = ["Algorithm", "Balancer", "Endpoint", "EndpointSpec", "Unavailable", "register"]
