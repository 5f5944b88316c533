"""Values for xsl:param: from the configuration, the environ, request fields and the query.

Owns the `params` option. What a request brings is always a text for the stylesheet, never XPath; XPath only where the
configuration itself has written the expression.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.request_fields import environ_key
from wsgikit.middleware.xslt.engine import Parameter

__all__ = ["Template", "digest", "templates", "values", "varies_on"]

_SOURCES = ("environ", "header", "query", "xpath", "value")
_NAME = re.compile(r"(?:\{[^{}]+\})?[^\W\d][\w.-]*\Z")
# XML 1.0, section 2.2: the characters that XML has; all others would be refused by the engine
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, kw_only=True)
class Template:
    """One parameter: where its value comes from. `key` is the text itself, or the name of what holds it."""

    name: str
    source: str
    key: str
    default: str | None = None


def templates(table: Mapping[str, Any], option: str = "params") -> tuple[Template, ...]:
    """From `params = { title = "Shop", page = { query = "page", default = "1" } }`. ConfigError."""
    if not isinstance(table, Mapping):
        raise ConfigError(f"{option} = {table!r}: a table of names and values")
    return tuple(_template(name, value, option) for name, value in table.items())


def _template(name: str, value: Any, option: str) -> Template:
    if not isinstance(name, str) or not _NAME.match(name):
        raise ConfigError(f"{option} has {name!r} in it: a name such as 'title', or '{{urn:shop}}title'")
    if isinstance(value, (bool, str, int, float)):
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return Template(name=name, source="value", key=text)
    found = [source for source in _SOURCES if isinstance(value, Mapping) and source in value]
    unknown = [key for key in value if key not in (*_SOURCES, "default")] if isinstance(value, Mapping) else []
    if len(found) != 1 or unknown or not isinstance(value[found[0]], str):
        raise ConfigError(
            f"{option}.{name} = {value!r}: a text, or a table with one of {', '.join(_SOURCES)}, and maybe 'default'"
        )
    default = value.get("default")
    return Template(name=name, source=found[0], key=value[found[0]], default=None if default is None else str(default))


def values(wanted: Iterable[Template], environ: Mapping[str, Any]) -> dict[str, Parameter]:
    """The parameters of one request. What the request does not have is left to the stylesheet's own default."""
    found = {}
    query: Mapping[str, list[str]] | None = None
    for template in wanted:
        if template.source == "xpath":
            found[template.name] = Parameter(template.key, xpath=True)
            continue
        if template.source == "query" and query is None:
            query = _query(environ.get("QUERY_STRING", ""))
        text = _text(template, environ, query or {})
        if text is not None:
            found[template.name] = Parameter(_NO_XML.sub("\ufffd", text))
    return found


def _text(template: Template, environ: Mapping[str, Any], query: Mapping[str, list[str]]) -> str | None:
    if template.source == "value":
        return template.key
    if template.source == "query":
        return query.get(template.key, [template.default])[0]
    value = environ.get(environ_key(template.key) if template.source == "header" else template.key)
    if value is None:
        return template.default
    return _utf_8(str(value))


def _utf_8(text: str) -> str:
    """What comes from the request is UTF-8 in Latin-1's clothes (PEP 3333, "Unicode Issues")."""
    try:
        return text.encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return text


def _query(text: str) -> Mapping[str, list[str]]:
    from urllib.parse import parse_qs

    try:
        return parse_qs(_utf_8(text), keep_blank_values=True, max_num_fields=1000)
    except ValueError:  # more fields than anybody means
        return {}


def varies_on(wanted: Iterable[Template]) -> tuple[str, ...]:
    """Request fields that the values depend on, for Vary (RFC 9110 12.5.5)."""
    names = []
    for template in wanted:
        if template.source == "header":
            names.append(template.key)
        elif template.source == "environ" and template.key.startswith("HTTP_"):
            names.append("-".join(part.capitalize() for part in template.key[5:].split("_")))
    return tuple(dict.fromkeys(names))


def digest(found: Mapping[str, Parameter]) -> str:
    """A name for values that nobody can give to others: 32 hexadecimal digits."""
    if not found:
        return _NONE
    text = repr(sorted((name, value.value, value.xpath) for name, value in found.items()))
    return blake2b(text.encode(), digest_size=16).hexdigest()


_NONE = blake2b(digest_size=16).hexdigest()
