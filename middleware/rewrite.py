"""Rewrite: change path, query and environ variables by URL, before the app sees them.

    app = Rewrite(app, rules=[
        RewriteRule("/old/<path:rest>", path="/new/{rest}"),
        RewriteRule("/u/<int:id>", path="/users", query="id={id}&{query}"),
        RewriteRule(regex=r"/(?P<lang>de|en)(?P<rest>/.*)", path="{rest}", set={"HTTP_ACCEPT_LANGUAGE": "{lang}"}),
        RewriteRule("/intern/<path:p>", unset=["HTTP_X_USER"], last=False),
    ])

In wsgikit.toml, `rules` is a list of tables with the same keys.

**Rules** are tried in their order. `rule` is written as for the Router, with Werkzeug's converters; `regex` is a Python
regex for the whole path in its place. `host` and `methods` narrow a rule down, as for a route. The first rule that
matches is the last one tried, unless it says `last=False`: then those after it see what it made.

**Templates**: `{name}` is a capture (`{1}` the first group of a regex), `{query}` the query string as it came, `{{` and
`}}` are braces. `path` becomes PATH_INFO, `query` QUERY_STRING (captures are percent-encoded in it; without `query` it
stays), `set` gives other variables of the environ, `unset` takes some away. The app gets a copy of the environ;
`wsgikit.raw_target` and `wsgikit.raw_headers` follow, so that a router, or a proxy behind, sees the same; REQUEST_URI
and RAW_URI stay what the client sent.

**Refused** with 400: a path with `.` or `..` in it, or a control character in a variable, as captures could bring them
in. **Streaming**: the app's iterable is handed on as it is. **On other servers** everything is the same, but for `%2F`
in captures, which is `/` where the raw target is not known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from wsgikit.errors import ConfigError
from wsgikit.middleware.router.answers import StartResponse, answer
from wsgikit.middleware.router.convert import nearest
from wsgikit.middleware.router.hosts import parse_pattern, request_host
from wsgikit.middleware.router.route import Route
from wsgikit.middleware.router.table import Match, Table
from wsgikit.middleware.router.target import ENCODED_SLASH, SAFE_IN_PATH, matching_path, raw_path, replace_path

__all__ = ["Rewrite", "RewriteRule"]

WSGIApp = Callable[..., Iterable[bytes]]

_FIELD = re.compile(r"\{\{|\}\}|\{(\w+)\}|[{}]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# as for mounts: with a parameter, and behind a backslash, which some servers behind us would resolve
_DOT_SEGMENT = re.compile(r"[/\\]\.\.?(?:;[^/\\]*)?(?:[/\\]|\Z)")
# The framing of the body and the server's own objects are no text that a URL could decide.
_KEPT = ("CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_LENGTH")
_BY_OPTION = {"PATH_INFO": "path", "QUERY_STRING": "query"}


@dataclass(frozen=True, kw_only=True)
class _Options:
    """What a rule does; the keys of a table in wsgikit.toml, with `rule` and `regex`."""

    host: str = ""
    methods: Sequence[str] | None = None
    path: str | None = None
    query: str | None = None
    set: Mapping[str, str] = field(default_factory=dict)
    unset: Sequence[str] = ()
    last: bool = True


class RewriteRule:
    """One rule; see the module's page. Raises ConfigError, with the rule in the message. Frozen."""

    def __init__(self, rule: str = "", *, regex: str = "", **options: Any) -> None:
        self.text = rule or regex
        if bool(rule) == bool(regex):
            raise ConfigError(f"rewrite {self.text!r}: write either rule or regex")
        for option in options:
            if option not in _Options.__dataclass_fields__:
                raise ConfigError(f"rewrite {self.text!r}: unknown option {option!r}{nearest(option, _OPTIONS)}")
        self.options = _Options(**options)
        parse_pattern(self.options.host)
        self._table = Table([Route(rule or "/", _nowhere, host=self.options.host, methods=self.options.methods)])
        self._regex = _compiled(regex) if regex else None
        self._check()

    @property
    def captures(self) -> set[str]:
        """Names that templates may use."""
        if self._regex is not None:
            return {*self._regex.groupindex, *(str(number) for number in range(self._regex.groups + 1)), "query"}
        return {variable.name for leaf in self._table.leaves for variable in leaf.pattern.variables} | {"query"}

    def _check(self) -> None:
        templates = [self.options.path or "", self.options.query or "", *self.options.set.values()]
        for template in templates:
            for match in _FIELD.finditer(template):
                if match[0] in ("{", "}") or (match[1] and match[1] not in self.captures):
                    hint = nearest(match[1], self.captures) if match[1] else "; write {{ or }} for a brace"
                    raise ConfigError(f"rewrite {self.text!r}: {match[0]!r} in {template!r}{hint}")
        for key in (*self.options.set, *self.options.unset):
            if key in _BY_OPTION:
                raise ConfigError(f"rewrite {self.text!r}: {key} is changed by the option {_BY_OPTION[key]!r}")
            if key in _KEPT or (key.startswith(("wsgi.", "wsgikit.")) and key != "wsgi.url_scheme"):
                raise ConfigError(f"rewrite {self.text!r}: {key} cannot be changed")

    def match(self, environ: Mapping[str, Any]) -> dict[str, str] | None:
        """The captures as text, `%2F` as ENCODED_SLASH; None when the rule is not for this request."""
        path = matching_path(environ)
        if self._regex is None:
            found = self._table.resolve(environ["REQUEST_METHOD"], path, request_host(environ))
            return found.leaf.texts(found.parts) if isinstance(found, Match) else None
        match = self._regex.fullmatch(path)
        if match is None or not self._for(environ):
            return None
        numbered = {str(number): text or "" for number, text in enumerate((match[0], *match.groups()))}
        return {**numbered, **{name: text or "" for name, text in match.groupdict().items()}}

    def _for(self, environ: Mapping[str, Any]) -> bool:
        """Whether method and host are the rule's; its table has the root as its only path here."""
        return isinstance(self._table.resolve(environ["REQUEST_METHOD"], "/", request_host(environ)), Match)


class Rewrite:
    """WSGI middleware: `rules` are RewriteRule objects or mappings of their options. Raises ConfigError. Frozen."""

    def __init__(self, app: WSGIApp, *, rules: Iterable[RewriteRule | Mapping[str, Any]]) -> None:
        self._app = app
        self._rules = tuple(rule if isinstance(rule, RewriteRule) else RewriteRule(**rule) for rule in rules)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        for rule in self._rules:
            captures = rule.match(environ)
            if captures is not None:
                captures["query"] = environ.get("QUERY_STRING", "")
                rewritten = _rewritten(environ, rule.options, captures)
                if rewritten is None:
                    return answer(environ, start_response, "400 Bad Request")
                environ = rewritten
                if rule.options.last:
                    break
        return self._app(environ, start_response)


_OPTIONS = ("rule", "regex", *_Options.__dataclass_fields__)


def _rewritten(environ: dict[str, Any], options: _Options, captures: Mapping[str, str]) -> dict[str, Any] | None:
    """A copy with everything changed; None when a capture brings in what no app should get."""
    environ = dict(environ)
    plain = {name: text.replace(ENCODED_SLASH, "/") for name, text in captures.items()}
    for key in options.unset:
        _set_variable(environ, key, None)
    for key, template in options.set.items():
        value = _wire(_filled(template, plain))
        if _CONTROL.search(value):
            return None
        _set_variable(environ, key, value.rstrip("/") if key == "SCRIPT_NAME" else value)
    if options.query is not None:
        quoted = {name: quote(text, safe="", errors="surrogateescape") for name, text in plain.items()}
        environ["QUERY_STRING"] = _filled(options.query, {**quoted, "query": captures["query"]}).strip("&")
    if options.path is not None:
        info = _wire(_filled(options.path, plain))
        if not info.startswith("/") or _DOT_SEGMENT.search(info):
            return None
        replace_path(environ, info, _sent(environ, options.path, captures))
    elif options.query is not None or "SCRIPT_NAME" in options.set:
        replace_path(environ, environ.get("PATH_INFO", ""), raw_path(environ))
    return environ


def _sent(environ: Mapping[str, Any], template: str, captures: Mapping[str, str]) -> str:
    """The new path percent-encoded, with `%2F` for each encoded slash in a capture."""
    quoted = {
        name: quote(text.replace(ENCODED_SLASH, "\0"), safe=SAFE_IN_PATH, errors="surrogateescape").replace(
            "%00", "%2F"
        )
        for name, text in captures.items()
    }
    script = quote(environ.get("SCRIPT_NAME", ""), safe=SAFE_IN_PATH, encoding="latin-1")
    path = _filled(quote(template, safe=SAFE_IN_PATH + "{}"), quoted)
    return script + path.replace("{", "%7B").replace("}", "%7D")


def _set_variable(environ: dict[str, Any], key: str, value: str | None) -> None:
    if value is None:
        environ.pop(key, None)
    else:
        environ[key] = value
    name = key.removeprefix("HTTP_") if key.startswith("HTTP_") else "CONTENT_TYPE" if key == "CONTENT_TYPE" else ""
    if name and "wsgikit.raw_headers" in environ:
        # Whoever forwards the request reads the fields there.
        kept = [pair for pair in environ["wsgikit.raw_headers"] if _variable(pair[0]) != name]
        added = (
            [(name.replace("_", "-").title().encode("latin-1"), value.encode("latin-1"))] if value is not None else []
        )
        environ["wsgikit.raw_headers"] = kept + added


def _variable(field_name: bytes) -> str:
    return field_name.decode("latin-1").upper().replace("-", "_")


def _filled(template: str, captures: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda match: captures[match[1]] if match[1] else match[0][0], template)


def _wire(text: str) -> str:
    """Text as the environ holds it: UTF-8 read as latin-1."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _nowhere(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    return answer(environ, start_response, "404 Not Found")


def _compiled(regex: str) -> re.Pattern[str]:
    try:
        return re.compile(regex)
    except re.error as error:
        raise ConfigError(f"rewrite {regex!r}: no regex: {error}") from error
