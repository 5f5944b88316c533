"""One generation of the code: a plan, the listeners opened for it, and its fleets. A reload makes the next one."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from wsgikit.errors import ConfigError
from wsgikit.master.child import Birth
from wsgikit.master.fleet import Child, Crew, Fleet
from wsgikit.master.plan import GroupPlan, Plan
from wsgikit.master.private import PrivateFolder, check_names
from wsgikit.master.privileges import Identity, identity
from wsgikit.master.settings import BindSettings
from wsgikit.master.sockets import OpenListener, open_listeners


@dataclass(slots=True, kw_only=True)
class Post:
    """A group with everything its workers get, resolved: nothing about it can fail any more but the app itself."""

    group: GroupPlan
    identity: Identity | None
    listeners: tuple[OpenListener, ...]
    fleet: Fleet


@dataclass(frozen=True, slots=True)
class Order:
    """An order to leave: the signal for the workers, the time by which they must be gone, and how to close listeners
    before the workers that have them are told."""

    signum: int
    by: float
    shut: Callable[[Sequence[OpenListener]], None]


@dataclass(slots=True, kw_only=True)
class Generation:
    """`number` counts from 1. `groups`: private address of each named group.

    A graceful order reaches the front group first and the others when it is gone, because it forwards to them.
    """

    number: int
    plan: Plan
    posts: list[Post]
    groups: dict[str, str] = field(default_factory=dict)
    _order: Order | None = None
    _all_told: bool = False

    @property
    def fleets(self) -> Iterator[Fleet]:
        return (post.fleet for post in self.posts)

    @property
    def listeners(self) -> Iterator[OpenListener]:
        return (listener for post in self.posts for listener in post.listeners)

    @property
    def children(self) -> Iterator[tuple[Fleet, Child]]:
        return ((fleet, child) for fleet in self.fleets for child in fleet.children)

    @property
    def is_ready(self) -> bool:
        return all(fleet.is_ready for fleet in self.fleets)

    @property
    def has_left(self) -> bool:
        return self._all_told and not any(self.children)

    def tend(self, now: float) -> None:
        for fleet in self.fleets:
            fleet.tend(now)
        if self._order is not None and not self._all_told:
            front = (post.fleet for post in self.posts if not post.group.settings.name)
            if not any(fleet.children for fleet in front):
                self._all_told = True
                self._tell(self._order, self.posts, now)

    def leave(self, order: Order, now: float) -> None:
        """Tell the workers to leave; a second order with a nearer end hurries them."""
        self._order = order
        self._all_told = self._all_told or order.signum != signal.SIGTERM
        self._tell(order, [post for post in self.posts if self._all_told or not post.group.settings.name], now)

    def _tell(self, order: Order, posts: Sequence[Post], now: float) -> None:
        # Listeners of all first: the last worker to close its copy knows that nobody else will empty the queue.
        order.shut([listener for post in posts for listener in post.listeners])
        for post in posts:
            post.fleet.leave(now, order.signum, max(order.by - now, 0.0))

    def post_of(self, fleet: Fleet) -> Post:
        return next(post for post in self.posts if post.fleet is fleet)

    def only_here(self, other: Generation | None) -> list[OpenListener]:
        """The listeners that `other` does not have."""
        used = set() if other is None else {listener.sock for listener in other.listeners}
        return [listener for listener in self.listeners if listener.sock not in used]


def open_generation(
    number: int, plan: Plan, crew: Crew, folder: PrivateFolder, keep: Iterable[OpenListener]
) -> Generation:
    """Everything that can be wrong about a plan is found here: ConfigError, and nothing has changed."""
    if not plan.groups:
        raise ConfigError("there is nothing to serve")
    check_names(group.settings.name for group in plan.groups)
    identities = [_identity(plan, group) for group in plan.groups]
    front = _identity(plan, plan.groups[0])
    binds = [_binds(group, folder, front) for group in plan.groups]
    owner = (front.uid, front.gid) if front else None
    opened = iter(open_listeners([bind for group in binds for bind in group], keep, owner))
    posts, groups = [], {}
    for group, who, group_binds in zip(plan.groups, identities, binds, strict=True):
        listeners = tuple(next(opened) for _ in group_binds)
        if group.settings.name:
            groups[group.settings.name] = listeners[-1].address
        posts.append(Post(group=group, identity=who, listeners=listeners, fleet=_fleet(plan, group, crew)))
    return Generation(number=number, plan=plan, posts=posts, groups=groups)


def _identity(plan: Plan, group: GroupPlan) -> Identity | None:
    return identity(group.settings.user or plan.settings.user, group.settings.group or plan.settings.group)


def _binds(group: GroupPlan, folder: PrivateFolder, front: Identity | None) -> Sequence[BindSettings]:
    name = group.settings.name
    return (*group.binds, folder.bind(name, front)) if name else group.binds


def _fleet(plan: Plan, group: GroupPlan, crew: Crew) -> Fleet:
    preload = group.settings.preload
    preloads = plan.settings.preload if preload is None else preload
    return Fleet(group.settings, plan.settings, crew, preloads=preloads)


def preloaded(birth: Birth, app: object, crew: Crew) -> Generation:
    """The generation of a preloader: one group, its listeners as they are, and the app that is loaded already."""
    group = replace(birth.group, load=lambda: app)
    plan = replace(birth.plan, groups=(group,))
    fleet = Fleet(group.settings, plan.settings, crew)
    post = Post(group=group, identity=birth.identity, listeners=birth.listeners, fleet=fleet)
    return Generation(number=birth.generation, plan=plan, posts=[post], groups=dict(birth.groups))
