"""A folder as an HTML page.

Owns the page and what is left out of it. Must not know where the folder stands in the site: links are relative.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from html import escape
from urllib.parse import quote

__all__ = ["listing"]

_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;padding:0 1rem;"
    "max-width:60rem}h1{font-size:1.3rem;overflow-wrap:anywhere}table{border-collapse:collapse;width:100%}"
    "td,th{padding:.2rem .5rem;text-align:left}td.n{text-align:right;white-space:nowrap}"
    "td:first-child{overflow-wrap:anywhere}tr:hover{background:#8882}a{text-decoration:none}a:hover{text-decoration:underline}"
)


def listing(
    folder: str, title: str, *, shows: Callable[[os.DirEntry[str]], bool], hidden: bool, most: int, up: bool
) -> bytes:
    """The page for a folder: folders first, then files, by name. Raises OSError when it cannot be read.

    `shows` says which entries are nobody's secret: a link may lead to what is not served.
    """
    entries, left_out = _entries(folder, shows, hidden, most)
    rows = [_row("..", "../", None, None)] if up else []
    for name, status in entries:
        is_folder = stat.S_ISDIR(status.st_mode)
        shown = name + "/" * is_folder
        # "./": a name like "javascript:x" must stay a path
        link = "./" + quote(os.fsencode(name)) + "/" * is_folder
        rows.append(_row(shown, link, None if is_folder else status.st_size, status.st_mtime))
    note = f"<p>{left_out} more are not shown.</p>" if left_out else ""
    heading = escape(title.encode("utf-8", "replace").decode())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{heading}</title><style>{_STYLE}</style><h1>{heading}</h1><table><tr><th>Name<th>Size<th>Changed (UTC)"
        f"{''.join(rows)}</table>{note}</html>\n"
    ).encode("utf-8", "replace")


def _entries(
    folder: str, shows: Callable[[os.DirEntry[str]], bool], hidden: bool, most: int
) -> tuple[list[tuple[str, os.stat_result]], int]:
    found = []
    count = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") and not hidden:
                continue
            count += 1
            if count > most:
                continue
            try:
                status = entry.stat()
                shown = shows(entry)
            except OSError:  # a link to nowhere
                continue
            if shown and (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
                found.append((entry.name, status))
    found.sort(key=lambda pair: (not stat.S_ISDIR(pair[1].st_mode), pair[0].lower(), pair[0]))
    return found, max(0, count - most)


def _row(shown: str, link: str, size: int | None, changed: float | None) -> str:
    when = "" if changed is None else time.strftime("%Y-%m-%d %H:%M", time.gmtime(changed))
    text = escape(shown.encode("utf-8", "replace").decode())
    return f'<tr><td><a href="{link}">{text}</a><td class="n">{_size(size)}<td class="n">{when}'


def _size(size: int | None) -> str:
    if size is None:
        return ""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"
