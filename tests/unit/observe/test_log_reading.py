"""Reading access logs: every form of a line, bad lines, gzip, long lines, percentiles, and bounded tables."""

from __future__ import annotations

import gzip
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgikit.errors import ConfigError
from wsgikit.observe.entries import BadLine, Entry, reader
from wsgikit.observe.histogram import ERROR, Histogram
from wsgikit.observe.logformat import compile_format
from wsgikit.observe.record import Access
from wsgikit.observe.sources import LONGEST, UnreadableError, lines, opened
from wsgikit.observe.summary import OTHER, Bounds, Summary

WHEN = 1795157799.5


def record(**changes: Any) -> Access:
    values: dict[str, Any] = {
        "environ": {"HTTP_USER_AGENT": "curl/8"}, "method": "POST", "target": b"/a?b=1", "remote": "::1", "thread": "t",
        "protocol": "HTTP/1.1", "status": "404 Not Found", "headers": [], "sent": 17, "started": WHEN, "wait": 0.25,
        "body": 0.5, "app": 1.0, "send": 2.0, "facts": {"route": "/<x>", "mount": "m", "request_id": "i"},
    }  # fmt: skip
    return Access(**(values | changes))


@pytest.mark.parametrize(
    "form",
    [
        "json",
        "%(time)s|%(m)s|%(target)s|%(s)s|%(b)s|%(wait)s|%(body)s|%(app)s|%(send)s|%(route)s|%(mount)s|%(request_id)s",
    ],
)
def test_what_is_written_is_read_back(form: str) -> None:
    entry = reader(form)(compile_format(form)(record()).decode().rstrip("\n"))
    assert (entry.time, entry.method, entry.target, entry.status, entry.bytes) == (WHEN, "POST", "/a?b=1", 404, 17)
    assert (entry.total, entry.parts) == (3750000, (250000, 500000, 1000000, 2000000))
    assert (entry.route, entry.mount, entry.request_id) == ("/<x>", "m", "i")


@pytest.mark.parametrize(
    ("form", "total"),
    [
        ('%(t)s "%(r)s" %(D)s', 3750000),
        ("%(M)s", 3750000),
        ("%(L)s", 3750000),
        ("%(T)s", 3000000),
        ("%(T)s %(L)s", 3750000),
    ],
)
def test_every_unit_of_time_is_understood(form: str, total: int) -> None:
    assert reader(form)(compile_format(form)(record()).decode().rstrip("\n")).total == total


def test_a_request_without_an_answer_has_status_0() -> None:
    for form in ("json", "combined", "%(s)s"):
        assert reader(form)(compile_format(form)(record(status="")).decode().rstrip("\n")).status == 0


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (  # Apache escapes a quote with a backslash
            r'1.2.3.4 - frank [10/Oct/2000:13:55:36 -0700] "GET /a\"b HTTP/1.0" 200 2326 "-" "x \"y\" \\"',
            (971211336.0, "GET", '/a"b', 200, 2326),
        ),
        ('1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 304 -', (971211336.0, "GET", "/", 304, 0)),
        (  # a user with blanks and brackets, and a time after the known fields
            '::1 - a b [c] [10/Oct/2000:20:55:36 +0000] "-" 408 0 "-" "-" 0.012',
            (971211336.0, "-", "-", 408, 0),
        ),
        ('h - - [10/Oct/2000:20:55:36 +0000] "GET /a b HTTP/1.1" 200 1', (971211336.0, "GET", "/a b", 200, 1)),
        ('h - - [10/Oct/2000:20:55:36 +0000] "quit" 400 1', (971211336.0, "quit", "-", 400, 1)),
    ],
)
def test_combined_logs_of_others(line: str, expected: tuple[Any, ...]) -> None:
    entry = reader("auto")(line)
    assert (entry.time, entry.method, entry.target, entry.status, entry.bytes) == expected
    assert entry.total is None


GOOD = {"time": "2026-11-20T06:56:39.500Z", "method": "GET", "target": "/", "status": 200, "bytes": 1, "total": 5}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("hello", "combined"),
        ("{", "not JSON"),
        ("[" * 5000, "combined"),
        ('{"a":' * 5000, "not JSON"),
        (json.dumps({"time": "now"}), 'no "method"'),
        (json.dumps(GOOD | {"status": "200"}), '"status"'),
        (json.dumps(GOOD | {"status": True}), '"status"'),
        (json.dumps(GOOD | {"bytes": -1}), '"bytes"'),
        (json.dumps(GOOD | {"total": 10**30}), '"total"'),
        (json.dumps(GOOD | {"time": "yesterday"}), "not a time"),
        (json.dumps(GOOD | {"time": "9999-12-31T23:59:59+00:00"}), "outside"),
        (json.dumps(GOOD | {"wait": 1, "body": 1, "app": "x", "send": 1}), '"app"'),
        ('h - - [99/Oct/2000:20:55:36 +0000] "GET / HTTP/1.1" 200 1', "not a time"),
        ('h - - [10/Okt/2000:20:55:36 +0000] "GET / HTTP/1.1" 200 1', "not a time"),
        ('h - - [10/Oct/2000:20:55:36 +9999] "GET / HTTP/1.1" 200 1', "not a time"),
        ('h - - [10/Oct/2000:20:55:36 +0000] "GET / HTTP/1.1" 200 9999999999999999999', "not a number"),
    ],
)
def test_a_bad_line_says_why(line: str, reason: str) -> None:
    with pytest.raises(BadLine, match=reason):
        reader("auto")(line)


def test_a_wrong_format_is_refused_before_reading() -> None:
    with pytest.raises(ConfigError, match="unknown name"):
        reader("%(nothing)s")


NESTED = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.sampled_from(sorted(GOOD)), inner)
)


@given(st.text(max_size=200) | NESTED.map(json.dumps))
def test_no_line_is_fatal(line: str) -> None:
    for form in ("auto", "json", "combined", '%(h)s %(t)s "%(r)s" %(s)s %(L)s'):
        try:
            found = reader(form)(line)
        except BadLine:
            continue
        assert found.bytes >= 0


def test_hostile_lines_take_linear_time() -> None:
    pieces = (" [1/", '"\\', "h - ", ' "a" ', "\\\\", "[10/Oct/2000:20:55:36 +0000] ")
    for piece in pieces:
        line = "h - u " + piece * (LONGEST // len(piece))
        for form in ("combined", '%(h)s %(u)s %(t)s "%(r)s" %(s)s', "%(r)s %(a)s|%(f)s"):
            with pytest.raises(BadLine):
                reader(form)(line)


def test_lines_are_cut_and_long_ones_skipped() -> None:
    data = b"one\r\n\ntwo\xff\n" + b"x" * (2 * LONGEST + 5) + b"\nlast"
    assert list(lines(io.BytesIO(data))) == [(1, "one"), (2, ""), (3, "two\ufffd"), (4, None), (5, "last")]


def test_a_line_of_the_largest_length_is_read() -> None:
    data = b"x" * (LONGEST - 1) + b"\n" + b"y" * LONGEST
    assert [(number, None if line is None else len(line)) for number, line in lines(io.BytesIO(data))] == [
        (1, LONGEST - 1),
        (2, None),
    ]


def test_gzip_is_known_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "access.log.1"
    path.write_bytes(gzip.compress(b"a\nb\n"))
    with opened(str(path)) as file:
        assert [line for _, line in lines(file)] == ["a", "b"]


def test_a_cut_gzip_gives_what_is_there_and_then_an_error(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(random.Random(1).randbytes(100_000).hex().encode())[:-30_000])
    got: list[int] = []

    def read() -> None:
        with opened(str(path)) as file:
            while data := file.read(1000):
                got.append(len(data))

    with pytest.raises(UnreadableError, match=r"cut\.gz"):
        read()
    assert sum(got) > 50_000


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="No such file"), opened(str(tmp_path / "missing")):
        pass


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_percentiles_are_within_the_stated_error(values: list[int], share: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    exact = next(value for n, value in enumerate(sorted(values), 1) if n >= share * len(values))
    found = histogram.quantile(share)
    assert found is not None
    assert abs(found - exact) <= ERROR * exact + 1, "1 us is what rounding to whole microseconds can cost"
    assert min(values) <= found <= max(values)


@given(st.lists(st.integers(0, 10**9)), st.lists(st.integers(0, 10**9)))
def test_merging_is_as_exact_as_adding(left: list[int], right: list[int]) -> None:
    merged, other, whole = Histogram(), Histogram(), Histogram()
    for histogram, values in ((merged, left), (other, right), (whole, left + right)):
        for value in values:
            histogram.add(value)
    merged.merge(other)
    for name in Histogram.__slots__:
        assert getattr(merged, name) == getattr(whole, name)


def test_a_histogram_is_bounded() -> None:
    histogram = Histogram()
    for power in range(64):
        histogram.add(10**power)
    assert max(histogram.buckets) <= 1569
    assert Histogram().quantile(0.5) is None


def entry(
    target: str = "/", status: int = 200, total: int | None = 1000, route: str = "", time: float | None = WHEN
) -> Entry:
    made = Entry(time, "GET", target, status, 10)
    made.total, made.route = total, route
    return made


def test_the_route_is_the_template_where_the_log_has_one() -> None:
    summary = Summary(Bounds())
    summary.add(entry("/a/1?x", route="/a/<n>"))
    summary.add(entry("/a/2?x"))
    assert set(summary.routes) == {"GET /a/<n>", "GET /a/2"}


@pytest.mark.parametrize(
    ("path", "collapsed"),
    [
        ("/orders/17/lines/3", "/orders/*/lines/*"),
        ("/x/123e4567-e89b-12d3-a456-426614174000", "/x/*"),
        ("/commit/00ff00ff00ff", "/commit/*"),
        ("/v2/facade/deadbeefdead", "/v2/facade/deadbeefdead"),
    ],
)
def test_collapse_makes_one_route_of_numbers(path: str, collapsed: str) -> None:
    assert Summary(Bounds(collapse=True)).name(entry(path)) == f"GET {collapsed}"


def test_errors_are_5xx_and_no_answer() -> None:
    summary = Summary(Bounds())
    for status in (200, 301, 404, 499, 500, 503, 0):
        summary.add(entry(status=status))
    row = summary.total
    assert (row.requests, row.client_errors, row.errors, row.bytes) == (7, 2, 3, 70)


def test_the_table_of_routes_is_bounded_and_keeps_the_busiest() -> None:
    summary = Summary(Bounds(routes=10))
    for number in range(5000):
        summary.add(entry("/busy"))
        summary.add(entry(f"/scan/{number}"))
        assert len(summary.routes) <= 21
    assert summary.routes["GET /busy"].requests == 5000
    assert sum(row.requests for row in summary.routes.values()) == summary.total.requests == 10_000
    assert summary.routes[OTHER].times.count > 4900
    assert summary.as_dict("time")["routes_complete"] is False


def test_the_slowest_are_named_slowest_first() -> None:
    summary = Summary(Bounds(slowest=3))
    for total in (5, 900, 7, 800, 1000, 6, 900):
        summary.add(entry(f"/{total}", total=total))
    assert [found.total for found in summary.slowest] == [1000, 900, 900]


def test_since_and_until_bound_the_time() -> None:
    summary = Summary(Bounds(since=WHEN, until=WHEN + 10))
    for time in (WHEN - 1, WHEN, WHEN + 9, WHEN + 10, None):
        summary.add(entry(time=time))
    assert summary.total.requests == 2
    assert (summary.first, summary.last) == (WHEN, WHEN + 9)


def test_bad_lines_are_counted_and_the_first_named() -> None:
    summary = Summary(Bounds(bad=2))
    for number in range(5):
        summary.add_bad(f"f:{number}", "no")
    assert (summary.bad_lines, summary.bad) == (5, ["f:0: no", "f:1: no"])


def test_orders() -> None:
    summary = Summary(Bounds())
    for target, status, total in (("/slow", 200, 9000), ("/often", 200, 10), ("/often", 200, 10), ("/wrong", 500, 1)):
        summary.add(entry(target, status, total))
    first = {order: summary.by(order)[0][0] for order in ("time", "requests", "errors", "p95", "bytes")}
    assert first == {
        "time": "GET /slow",
        "requests": "GET /often",
        "errors": "GET /wrong",
        "p95": "GET /slow",
        "bytes": "GET /often",
    }


def test_a_log_without_times_has_no_percentiles() -> None:
    summary = Summary(Bounds())
    summary.add(entry(total=None))
    found = summary.as_dict("time")
    assert (found["total"]["p50"], found["total"]["max"], found["slowest"]) == (None, None, [])
