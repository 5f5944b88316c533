"""The options of `XSLT`, checked, and the parts that they make.

Owns what each option may be, and what is done at start: every configured stylesheet is compiled, and what an engine
cannot do is said. The options' meaning is on the package's page.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wsgikit.errors import ConfigError
from wsgikit.middleware.amounts import choice, seconds, size, texts, whole
from wsgikit.middleware.xslt.answers import Failures
from wsgikit.middleware.xslt.engine import ENGINES, Engine, make_engine
from wsgikit.middleware.xslt.exchange import Settings
from wsgikit.middleware.xslt.failures import XsltError
from wsgikit.middleware.xslt.follow import Follow
from wsgikit.middleware.xslt.negotiation import Negotiation
from wsgikit.middleware.xslt.parameters import templates
from wsgikit.middleware.xslt.policy import Limits, Policy, policy_from
from wsgikit.middleware.xslt.results import Results
from wsgikit.middleware.xslt.rules import MediaTypes, rules_from
from wsgikit.middleware.xslt.sheets import Sheets
from wsgikit.middleware.xslt.space import Folders, shown
from wsgikit.middleware.xslt.workshop import Workshop

if TYPE_CHECKING:
    from wsgikit.middleware.xslt.engine import Stylesheet

__all__ = ["engine_from", "later_version", "policy_of", "settings_from", "workshop_from"]

Options = Mapping[str, Any]

_LEVELS = {"off": 0, "debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


def settings_from(options: Options) -> Settings:
    """What a request needs to know. Raises ConfigError."""
    common = templates(options["params"] or {})
    rules = rules_from(options["stylesheet"], options["rules"], common)
    limits = _limits(options)
    follow = _follow(options, limits)
    if not rules and follow is None:
        raise ConfigError("needs 'stylesheet', 'rules', or follow = 'folder' or 'app'")
    html = ["text/html"] if options["html"] else []
    return Settings(
        rules=rules,
        parameters=common,
        types=MediaTypes([*texts(options["types"], "types"), *html]),
        statuses=frozenset(str(whole(status, "statuses", 200, 599)) for status in options["statuses"]),
        follow=follow,
        negotiation=Negotiation(
            enabled=options["negotiate"],
            undecided=choice(options["undecided"], "undecided", ("transform", "source", "auto")),
            parameter=options["format_parameter"],
        ),
        failures=_failures(options),
        opt_out=options["opt_out"],
        max_input=limits.source,
        max_ratio=whole(options["max_ratio"], "max_ratio", 1),
    )


def _failures(options: Options) -> Failures:
    return Failures(
        on_error=choice(options["on_error"], "on_error", ("500", "502", "pass")),
        too_large=choice(options["too_large"], "too_large", ("pass", "413", "500", "502")),
        debug=options["debug"],
        logger=logging.getLogger(options["logger"]),
        message_level=_LEVELS[choice(options["messages"], "messages", _LEVELS)],
    )


def _limits(options: Options) -> Limits:
    return Limits(
        source=size(options["max_input"], "max_input", least=1),
        nodes=whole(options["max_nodes"], "max_nodes", 1),
        depth=whole(options["max_depth"], "max_depth", 1, 256),
        output=size(options["max_output"], "max_output", least=1),
    )


def _follow(options: Options, limits: Limits) -> Follow | None:
    mode, folder = choice(options["follow"], "follow", ("no", "folder", "app")), options["folder"]
    if mode == "folder" and not os.path.isdir(folder):
        raise ConfigError(f"follow = 'folder' needs 'folder': there is no folder {folder!r}")
    if mode != "folder" and folder:
        raise ConfigError(f"folder = {folder!r} is for follow = 'folder'")
    if mode == "no":
        return None
    root = os.path.realpath(folder) if mode == "folder" else ""
    return Follow(folder=root, largest=limits.sheets, depth=whole(options["depth"], "depth", 1))


def policy_of(options: Options, settings: Settings) -> Policy:
    """What stylesheets may do. The folder that documents lead to is always a root."""
    paths = [shown(uri) for rule in settings.rules for uri in rule.sheets]
    for path in paths:
        if not os.path.isfile(path):
            raise ConfigError(f"there is no stylesheet {path!r}")
    folder = options["folder"]
    given = {name: options[name] for name in ("uris", "allow", "dtd")}
    if options["roots"] is not None:
        roots = [*texts(options["roots"], "roots"), *([folder] if folder else [])]
        return policy_from([], roots=roots, limits=_limits(options), **given)
    return policy_from([*paths, *([os.path.join(folder, "-")] if folder else [])], limits=_limits(options), **given)


def engine_from(options: Options, policy: Policy) -> Engine:
    """The engine. Raises ConfigError: its library is missing."""
    name, html = choice(options["engine"], "engine", ENGINES), options["html"] or "libxml2"
    copies = whole(options["copies"], "copies", 1)
    if not options["isolate"]:
        return make_engine(name, policy, copies=copies, html=html)
    from wsgikit.middleware.xslt.isolation import IsolatedEngine, Isolation

    make_engine(name, policy, html=html)  # a missing library is better told here
    isolation = Isolation(
        seconds=seconds(options["deadline"], "deadline", least=0.01),
        memory=size(options["memory"], "memory"),
        processes=whole(options["processes"], "processes", 1),
    )
    return IsolatedEngine(name, policy, isolation, html=html)


def workshop_from(options: Options, settings: Settings) -> Workshop:
    """The parts that a middleware keeps, with all configured stylesheets compiled. Raises ConfigError."""
    policy = policy_of(options, settings)
    engine = engine_from(options, policy)
    _check_isolation(options)
    if engine.name == "lxml":
        _check_expressions(settings)
    logger = settings.failures.logger
    check = seconds(options["check"], "check")
    sheets = Sheets(engine, check=check, most=whole(options["sheets"], "sheets", 1), logger=logger)
    results = Results(size(options["results"], "results"))
    space = Folders(policy)
    workshop = Workshop(engine, sheets, space, results, f"{engine.name} {options['html']}")
    if engine.name == "lxml" and any("json" in name for name in settings.types.names):
        raise ConfigError("types has JSON in it, which engine = 'lxml' cannot read; engine = 'saxon' can")
    for limit in engine.limits:
        logger.debug("engine %s: %s", engine.name, limit)
    for uri in dict.fromkeys(uri for rule in settings.rules for uri in rule.sheets):
        try:
            sheet = workshop.chain((uri,)).compiled[0].sheet
            _try_out(sheet, policy, options)
        except XsltError as error:
            raise ConfigError(f"stylesheet {shown(uri)}: {error.whole}") from error
        _tell(sheet, engine, logger)
    close = getattr(engine, "close", None)
    if close is not None:
        close()  # these processes are the master's, should it fork now
    return workshop


def _check_isolation(options: Options) -> None:
    """Nobody must believe in a limit that does not hold."""
    for name, usual in (("deadline", "10s"), ("memory", "512MiB"), ("processes", 2)):
        if options[name] != usual and not options["isolate"]:
            raise ConfigError(
                f"{name} = {options[name]!r} is for isolate = true; inside the worker there is no such limit"
            )


def _check_expressions(settings: Settings) -> None:
    from lxml import etree

    templates = {*settings.parameters, *(template for rule in settings.rules for template in rule.parameters)}
    for template in templates:
        if template.source == "xpath":
            try:
                etree.XPath(template.key)
            except etree.XPathSyntaxError as error:
                text = f"params.{template.name}.xpath = {template.key!r} is not XPath 1.0: {error}"
                raise ConfigError(text) from None


def _tell(sheet: Stylesheet, engine: Engine, logger: logging.Logger) -> None:
    """Say what an engine of XSLT 1.0 does not know. Not an error: a stylesheet may ask before it uses it."""
    for found in sheet.bundle.notes:
        if found.reason == "unsupported" and engine.name == "lxml":
            logger.warning("%s: %s; engine = 'saxon' has it", found.place, found.text)
        elif found.reason == "encoding":
            logger.warning("%s: %s", found.place, found.text)
    later = later_version(sheet.bundle.version, engine)
    if later:
        logger.warning("%s: %s", shown(sheet.bundle.uri), later)


def later_version(version: str, engine: Engine) -> str:
    """What a stylesheet of a later version gets from an engine of XSLT 1.0 (XSLT 1.0, section 2.5,
    forwards-compatible processing), "" where nothing is to be said."""
    if engine.name != "lxml" or version.startswith("1"):
        return ""
    return f"version {version} is taken for 1.0, with XPath 1.0; engine = 'saxon' has it"


def _try_out(sheet: Stylesheet, policy: Policy, options: Options) -> None:
    """Compile with Saxon in a process that ends: it must not be started in one that may fork."""
    if options["engine"] != "saxon" or options["isolate"]:
        return
    from wsgikit.middleware.xslt.isolation import IsolatedEngine, Isolation

    trial = IsolatedEngine("saxon", policy, Isolation(seconds=60, memory=0, processes=1))
    try:
        trial.compile(sheet.bundle.uri, sheet.space)
    finally:
        trial.close()
