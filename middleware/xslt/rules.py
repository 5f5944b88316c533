"""Which stylesheets are for which documents.

Owns the rules (`stylesheet`, `rules` of the options) and media-type patterns. Must not know HTTP exchanges.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.loader import nearest
from wsgikit.middleware.amounts import texts
from wsgikit.middleware.xslt.parameters import Template, templates, varies_on
from wsgikit.middleware.xslt.space import file_uri

__all__ = ["TYPES", "MediaTypes", "Rule", "rules_from"]

TYPES = ("text/xml", "application/xml", "*/*+xml")
_KEYS = ("path", "types", "root", "stylesheet", "params")
# a prefix would say nothing here: which namespace it stands for is the document's choice
_ROOT = re.compile(r"(?:\{[^{}]*\})?[^\s:{}<>&/]+\Z")
# XML, but what a browser is to see as it is: only where it is named
_SHOWN = re.compile(r"image/|application/xhtml\+xml\Z")


class MediaTypes:
    """A set of media types: "text/xml", "application/*", "*/*+xml" (all XML but images and XHTML)."""

    def __init__(self, names: Iterable[str], option: str = "types") -> None:
        self.names = tuple(name.lower() for name in texts(names, option))
        for name in self.names:
            if not re.fullmatch(r"[a-z0-9.+*-]+/[a-z0-9.+*-]+", name):
                raise ConfigError(f"{option} has {name!r} in it: a media type such as 'application/xml' or '*/*+xml'")
        self._exact = frozenset(name for name in self.names if "*" not in name)
        self._kinds = tuple(name[:-1] for name in self.names if name.endswith("/*"))
        self._all_xml = "*/*+xml" in self.names

    def __contains__(self, media: str) -> bool:
        if media in self._exact or (self._kinds and media.startswith(self._kinds)):
            return True
        return self._all_xml and media.endswith("+xml") and not _SHOWN.match(media)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`sheets`: URIs, applied one after the other; a document has to meet every condition that is not None or empty.

    `roots`: names of root elements, `{namespace}local` or `local` in any namespace."""

    sheets: tuple[str, ...]
    path: re.Pattern[str] | None = None
    types: MediaTypes | None = None
    roots: frozenset[str] = frozenset()
    parameters: tuple[Template, ...] = ()

    @cached_property
    def varies(self) -> tuple[str, ...]:
        """The request fields that the parameters come from."""
        return varies_on(self.parameters)

    def fits_path(self, path: str) -> bool:
        return self.path is None or self.path.fullmatch(path) is not None

    def fits_type(self, media: str) -> bool:
        return self.types is None or media in self.types

    def fits_root(self, root: str) -> bool:
        return not self.roots or root in self.roots or root.rpartition("}")[2] in self.roots


def rules_from(
    stylesheet: str | Sequence[str] | None, rules: Sequence[Mapping[str, Any]], parameters: tuple[Template, ...]
) -> tuple[Rule, ...]:
    """The rules in their order, the one without conditions last. ConfigError."""
    found = [_rule(table, f"rules[{number}]", parameters) for number, table in enumerate(rules, 1)]
    if stylesheet is not None:
        found.append(Rule(sheets=_sheets(stylesheet, "stylesheet"), parameters=parameters))
    return tuple(found)


def _rule(table: Mapping[str, Any], place: str, common: tuple[Template, ...]) -> Rule:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{place} = {table!r}: a table with {', '.join(_KEYS)}")
    for key in table:
        if key not in _KEYS:
            raise ConfigError(f"{place} has no key {key!r}{nearest(key, _KEYS) or '; it has ' + ', '.join(_KEYS)}")
    if "stylesheet" not in table:
        raise ConfigError(f"{place} needs 'stylesheet'")
    own = templates(table.get("params", {}), f"{place}.params")
    names = {template.name for template in own}
    return Rule(
        sheets=_sheets(table["stylesheet"], f"{place}.stylesheet"),
        path=_path(table["path"], f"{place}.path") if "path" in table else None,
        types=MediaTypes(table["types"], f"{place}.types") if "types" in table else None,
        roots=_roots(table.get("root", ()), f"{place}.root"),
        parameters=(*(template for template in common if template.name not in names), *own),
    )


def _roots(value: str | Sequence[str], option: str) -> frozenset[str]:
    names = frozenset([value] if isinstance(value, str) else texts(value, option))
    for name in names:
        if not _ROOT.match(name):
            raise ConfigError(
                f"{option} has {name!r} in it: a name such as 'feed', or '{{http://www.w3.org/2005/Atom}}feed'"
            )
    return names


def _sheets(value: str | Sequence[str], option: str) -> tuple[str, ...]:
    paths = (value,) if isinstance(value, str) else texts(value, option)
    if not paths or not all(paths):
        raise ConfigError(f"{option} = {value!r}: a file, or a list of files that are applied one after the other")
    return tuple(file_uri(path) for path in paths)


def _path(pattern: object, option: str) -> re.Pattern[str]:
    """`/feeds/*.xml`: a star stands for anything but a slash, two stars for anything."""
    if not isinstance(pattern, str) or not pattern.startswith("/"):
        raise ConfigError(f"{option} = {pattern!r}: a path that starts with '/', such as '/feeds/*.xml' or '/docs/**'")
    # PATH_INFO carries UTF-8 bytes as Latin-1 text (PEP 3333, "Unicode Issues")
    parts = re.split(r"(\*\*|\*)", pattern.encode().decode("latin-1"))
    return re.compile("".join({"*": "[^/]*", "**": ".*"}.get(part, re.escape(part)) for part in parts), re.DOTALL)
