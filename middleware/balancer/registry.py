"""The balancers of this process, by name: what the status page shows. Holds none of them alive."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgikit.middleware.balancer.app import Balancer

_balancers: weakref.WeakValueDictionary[str, Balancer] = weakref.WeakValueDictionary()


def add(balancer: Balancer) -> None:
    """Show it, in place of one of the same name."""
    _balancers[balancer.name] = balancer


def discard(balancer: Balancer) -> None:
    """Show it no more."""
    if _balancers.get(balancer.name) is balancer:
        del _balancers[balancer.name]


def balancers() -> list[Balancer]:
    """All of them, by name."""
    return [balancer for _, balancer in sorted(_balancers.items())]
