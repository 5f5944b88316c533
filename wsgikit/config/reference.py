"""The options table as a page to read: `docs/options.md`. Text in, text out."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from wsgikit.config import structure
from wsgikit.config.option import Option
from wsgikit.config.structure import Key
from wsgikit.config.table import OPTIONS

_INTRODUCTION = """\
# Options

<!-- Made by `make docs` from the options table (wsgikit/config/table.py); changes here are lost. -->

Every option has one name: `keep_alive` in `wsgikit.toml` (or `[tool.wsgikit]` in `pyproject.toml`), `--keep-alive` on
the command line, `WSGIKIT_KEEP_ALIVE` in the environment. The command line wins over the environment, the environment
over the file, the file over the default.

The file is `--config FILE`, else `$WSGIKIT_CONFIG`, else `wsgikit.toml` in the working directory, else a
`pyproject.toml` there with a `[tool.wsgikit]`; `--config ""` reads none. Relative paths in a file start at the file's
folder; those that middleware in `use` is given start where modules are looked for, in the working directory or in
`chdir` (`chdir = "."`: the file's folder). `$PORT` stands for `--bind 0.0.0.0:$PORT`, `$WEB_CONCURRENCY` for
`--workers`. `wsgikit check config` tests a file without serving: it tells all mistakes, each with its line, and warns
of an upstream or group that nothing uses.

Times are seconds, or texts such as `"500ms"`, `"30s"`, `"5m"`, `"1h"`. Sizes are bytes, or texts such as `"64KiB"` and
`"200MiB"`. Switches are `true` and `false` in the file, `--preload` and `--no-preload` on the command line. A list is
an array in the file; on the command line the flag is repeated, in the environment its values are separated by commas.

Options marked with * may also stand in `[group.NAME]`, for the workers of that group alone.
"""

_TARGET = """\
Needs `app` or `upstream`. Neither is needed where a middleware in `use` answers by itself: `forward` and `status`, or
`static`, `cgi-directory`, `health` and `cascade`; what none of them answers is not found (404)."""

_TABLES: tuple[tuple[str, str, tuple[Key, ...]], ...] = (
    ("`[[mount]]`: an app at a host and path", _TARGET, structure.MOUNT_KEYS),
    (
        "`[[mount.use]]` and `[[route.use]]`: middleware around it",
        "Outermost first. In its options `${NAME}` stands for an environment variable, `$$` for a dollar sign.",
        structure.USE_KEYS,
    ),
    ("`[[route]]`: a URL pattern", _TARGET, structure.ROUTE_KEYS),
    (
        "`[upstream.NAME]`: servers to forward to",
        "Its keys are the options of the balancer, [balancing.md](balancing.md) has them: `endpoints`, `balance`,\n"
        "`health`, `retry` ... `${NAME}` works as in `[[mount.use]]`.",
        (),
    ),
    (
        "`tls`: certificates",
        "A list of tables, or `[[tls]]`; the first also answers to unknown names.",
        structure.TLS_KEYS,
    ),
)


def options_page() -> str:
    """The whole page, Markdown."""
    parts = [_INTRODUCTION]
    for section, options in groupby(sorted(OPTIONS, key=_section_order), key=lambda option: option.section):
        parts.append(f"## {section}\n\n{_option_table(options)}")
    parts.extend(f"## {title}\n\n{text}\n" + (f"\n{_key_table(keys)}" if keys else "") for title, text, keys in _TABLES)
    return "\n".join(parts)


def _section_order(option: Option) -> int:
    sections = list(dict.fromkeys(option.section for option in OPTIONS))
    return sections.index(option.section)


def _option_table(options: Iterable[Option]) -> str:
    rows = ["| in the file | command line | default | |", "|---|---|---|---|"]
    for option in options:
        mark = " *" if option.inner else ""
        flags = ", ".join(f"`{flag}`" for flag in option.spellings) if option.name != "app" else "the first argument"
        rows.append(f"| `{option.name}`{mark} | {flags} | {_default(option)} | {_cell(option.help)} |")
    return "\n".join(rows) + "\n"


def _key_table(keys: Iterable[Key]) -> str:
    rows = ["| key | value | |", "|---|---|---|"]
    for key in keys:
        must = " (needed)" if key.required else ""
        rows.append(f"| `{key.name}`{must} | {_cell(key.kind.allowed)} | {_cell(key.help)} |")
    return "\n".join(rows) + "\n"


def _default(option: Option) -> str:
    value = option.default
    if value in ("", None, ()) or value == {}:
        return ""
    return f"`{option.kind.show(value)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
