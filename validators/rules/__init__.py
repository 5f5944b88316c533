"""The registry: every rule wsgikit knows, by id.

    RULES["WSGI-A33"]            a `Rule`
    rule("a33"), rule("H31")     the same by a short or sloppy name
    select(profile="http", role="app")

The registry holds no check; the front ends (lint, app, middleware, server) do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from types import MappingProxyType

from wsgikit.errors import ConfigError
from wsgikit.validators.rules.application import APPLICATION
from wsgikit.validators.rules.http_body import HTTP_BODY
from wsgikit.validators.rules.http_head import HTTP_HEAD
from wsgikit.validators.rules.middleware import MIDDLEWARE
from wsgikit.validators.rules.model import METHODS, PROFILE_TEXT, PROFILES, ROLES, SECTIONS, Rule
from wsgikit.validators.rules.server_environ import SERVER_ENVIRON
from wsgikit.validators.rules.server_response import SERVER_RESPONSE

__all__ = ["METHODS", "PROFILES", "PROFILE_TEXT", "ROLES", "RULES", "SECTIONS", "Rule", "in_profile", "rule", "select"]

RULES: MappingProxyType[str, Rule] = MappingProxyType(
    {rule.id: rule for rule in (*APPLICATION, *SERVER_ENVIRON, *SERVER_RESPONSE, *MIDDLEWARE, *HTTP_HEAD, *HTTP_BODY)}
)
"""Every rule by its public id, in the order A, S, M, H."""

_SHORT = {rule.key: rule for rule in RULES.values()}


def rule(name: str) -> Rule:
    """The rule with this id ("WSGI-A33", "HTTP-31") or key ("A33", "H31"), in any case.

    Raises ConfigError naming the nearest ids.
    """
    wanted = name.strip().upper()
    found = RULES.get(wanted) or _SHORT.get(wanted)
    if found is None:
        near = difflib.get_close_matches(wanted, [*RULES, *_SHORT], n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else "; `wsgikit rules` lists them all"
        raise ConfigError(f"no rule named {name!r}{hint}")
    return found


def in_profile(one: Rule, profile: str) -> bool:
    """Whether `profile` contains the rule. Raises ConfigError for an unknown profile."""
    if profile not in PROFILES:
        raise ConfigError(f"no profile named {profile!r}; there are {', '.join(PROFILES)}")
    return PROFILES.index(one.profile) <= PROFILES.index(profile)


def select(profile: str = "pedantic", role: str | None = None, names: Iterable[str] = ()) -> tuple[Rule, ...]:
    """The rules of a profile, of one role ("app", "server", "middleware", "http") and among `names` where given."""
    wanted = {rule(name).id for name in names}
    return tuple(
        one
        for one in RULES.values()
        if in_profile(one, profile) and role in (None, one.role) and (not wanted or one.id in wanted)
    )
