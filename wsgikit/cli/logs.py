"""`wsgikit logs`: what access logs say, by route.

Owns the arguments and the report for people. The reading and counting is `wsgikit.observe`'s.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from datetime import datetime, timedelta

from wsgikit.errors import ConfigError
from wsgikit.observe.entries import PARTS, BadLine, Entry, Reader, reader
from wsgikit.observe.escape import clip, escape
from wsgikit.observe.sources import LONGEST, UnreadableError, lines, opened
from wsgikit.observe.summary import OTHER, Bounds, Row, Summary

HELP = """Requests, errors, percentiles and bytes by route, from access logs.

Reads the JSON and combined logs of wsgikit and of others, and custom formats (--format), plain or gzip, as a stream in
bounded memory. Percentiles are within 1 % of the exact ones. Errors are answers with 5xx and requests without any
answer. Lines in no known form are counted, and the first are named.
Leaves with 0, or with 1 when a file could not be read to its end."""

ORDERS = ("time", "requests", "errors", "bytes", "p95")
INTERRUPTED = 130

_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    bounds = Bounds()
    parser.add_argument("files", nargs="+", metavar="FILE", help="an access log, also gzip; - for standard input")
    parser.add_argument(
        "--format", default="auto", help="json, combined, or the access_logformat of the log [found out line by line]"
    )
    parser.add_argument(
        "--since", metavar="TIME", help="from this time on: 2026-11-20T06:30 (local), or 15m, 2h, 1d ago"
    )
    parser.add_argument("--until", metavar="TIME", help="before this time")
    parser.add_argument("--sort", choices=ORDERS, default="time", help="what comes first [time: spent in all requests]")
    parser.add_argument("--top", type=int, default=25, metavar="N", help="routes to show [25]; 0: all")
    parser.add_argument(
        "--slowest", type=int, default=bounds.slowest, metavar="N", help=f"slow requests to name [{bounds.slowest}]"
    )
    parser.add_argument(
        "--routes", type=int, default=bounds.routes, metavar="N",
        help=f'routes kept in memory, the busiest [{bounds.routes}]; the rest is "{OTHER}"',
    )  # fmt: skip
    parser.add_argument(
        "--collapse", action="store_true", help="where the log has no routes: /orders/17 and /orders/18 are /orders/*"
    )
    parser.add_argument("--json", action="store_true", help="the report as JSON; times in microseconds")


def run(options: argparse.Namespace) -> int:
    """Read all files and print the report. ConfigError for a wrong argument."""
    summary = Summary(bounds_of(options))
    status = 0
    try:
        status = read_all(options.files, reader(options.format), summary)
    except KeyboardInterrupt:  # of `tail -f access.log | wsgikit logs -`: show what came so far
        status = INTERRUPTED
    if options.json:
        print(json.dumps(summary.as_dict(options.sort), indent=1))
    else:
        print("\n".join(report(summary, options.sort, options.top or sys.maxsize)))
    return status


def bounds_of(options: argparse.Namespace) -> Bounds:
    for name, least in (("routes", 1), ("slowest", 0), ("top", 0)):
        if getattr(options, name) < least:
            raise ConfigError(f"--{name} {getattr(options, name)}: {least} or more")
    now = datetime.now().astimezone()
    return Bounds(
        routes=options.routes,
        slowest=options.slowest,
        since=moment("--since", options.since, now),
        until=moment("--until", options.until, now),
        collapse=options.collapse,
    )


def moment(option: str, text: str | None, now: datetime) -> float | None:
    """Seconds since the epoch. A time without a zone is local; "15m" is 15 minutes before `now`."""
    if text is None:
        return None
    try:
        if ago := _AGO.fullmatch(text):
            return (now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).timestamp()
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise ConfigError(f"{option} {text!r}: write 2026-11-20T06:30, or 15m, 2h, 1d for a time ago") from None


def read_all(files: list[str], read: Reader, summary: Summary) -> int:
    status = 0
    for path in files:
        try:
            read_one(path, read, summary)
        except UnreadableError as error:
            sys.stderr.write(f"wsgikit logs: {error}\n")
            status = 1
    return status


def read_one(path: str, read: Reader, summary: Summary) -> None:
    with opened(path) as file:
        for number, line in lines(file):
            if line is None:
                summary.add_bad(f"{path}:{number}", f"longer than {LONGEST} bytes")
                continue
            if not line:
                continue
            try:
                entry = read(line)
            except BadLine as error:
                summary.add_bad(f"{path}:{number}", str(error))
            else:
                summary.add(entry)


def report(summary: Summary, order: str, top: int) -> list[str]:
    """The report as lines of printable ASCII: what stands in a log may have come from anybody."""
    out = [headline(summary)]
    if summary.total.requests:
        out += ["", *table(summary, order, top)]
    if summary.slowest:
        out += ["", "slowest", *(f"  {slow(entry)}" for entry in summary.slowest)]
    if summary.bad_lines:
        out += ["", f"{summary.bad_lines:,} bad lines", *(f"  {escape(place)}" for place in summary.bad)]
        if summary.bad_lines > len(summary.bad):
            out.append(f"  and {summary.bad_lines - len(summary.bad):,} more")
    return out


def headline(summary: Summary) -> str:
    text = f"{summary.total.requests:,} requests, {summary.total.errors:,} errors"
    if summary.first is not None and summary.last is not None:
        text += f", from {stamp(summary.first)} to {stamp(summary.last)}"
    return text


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")


def table(summary: Summary, order: str, top: int) -> list[str]:
    heads = ("requests", "4xx", "errors", "p50 ms", "p95 ms", "p99 ms", "max ms", "time %", "bytes")
    out = ["".join(f"{head:>10}" for head in heads) + "  route"]
    rows = summary.by(order)
    whole = summary.total.times.total
    out += [cells(row, whole) + f"  {clip(escape(name), 200)}" for name, row in rows[:top]]
    if len(rows) > top:
        out.append(f"{'':>90}  and {len(rows) - top:,} more routes (--top 0 shows all)")
    out.append(cells(summary.total, whole) + "  all")
    if not summary.total.times.count:
        out.append("no times in the log: the JSON format has them, and so have %(D)s and %(app)s of a custom one")
    if summary.folded:
        out.append(f'more than {summary.bounds.routes:,} routes: the rarest are in "{OTHER}" (--routes, --collapse)')
    return out


def cells(row: Row, whole: int) -> str:
    found = row.as_dict()
    share = f"{100 * row.times.total / whole:.1f}" if whole else "-"
    values = (
        f"{row.requests:,}",
        f"{row.client_errors:,}",
        f"{row.errors:,}",
        *(milliseconds(found[name]) for name in ("p50", "p95", "p99", "max")),
        share,
        size(row.bytes),
    )
    return "".join(f"{value:>10}" for value in values)


def milliseconds(value: int | None) -> str:
    """Three digits that count, at most: a percentile is not known better than to 1 %."""
    if value is None:
        return "-"
    digits = 2 if value < 10_000 else 1 if value < 100_000 else 0
    return f"{value / 1000:,.{digits}f}"


def size(count: int) -> str:
    amount = float(count)
    for unit in ("", "K", "M", "G", "T"):
        if amount < 1000 or unit == "T":
            break
        amount /= 1000
    return f"{amount:.0f}" if not unit else f"{amount:.1f}{unit}"


def slow(entry: Entry) -> str:
    """One slow request: how long, when, what, where the time went, and what names it."""
    when = stamp(entry.time) if entry.time is not None else "-"
    text = f"{(entry.total or 0) / 1e6:.3f} s  {when}  {entry.method} {entry.target} -> {entry.status or '-'}"
    if entry.parts:
        text += (
            "  ("
            + ", ".join(f"{name} {milliseconds(part)}" for name, part in zip(PARTS, entry.parts, strict=True))
            + " ms)"
        )
    for name in ("route", "mount", "request_id"):
        if value := getattr(entry, name):
            text += f"  {name}={value}"
    return clip(escape(text), 400)
