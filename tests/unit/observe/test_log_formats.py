"""Access log formats: what each name gives, and that no client can forge or break a line or a field of it."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsgikit.errors import ConfigError
from wsgikit.observe import clock
from wsgikit.observe.entries import reader
from wsgikit.observe.escape import clip, escape, json_text, unescape
from wsgikit.observe.logformat import BRACED, FOREIGN, OWN, compile_format, places
from wsgikit.observe.record import Access
from wsgikit.observe.settings import COMBINED, LogSettings

BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Chrome/139.0.0.0"
JSON_KEYS = (
    "time", "remote", "user", "method", "target", "protocol", "status", "bytes", "total", "wait", "body", "app", "send",
    "pid", "thread", "host", "referer", "agent", "mount", "route", "request_id", "upstream",
)  # fmt: skip


def access(**changes: Any) -> Access:
    values: dict[str, Any] = {
        "environ": {"HTTP_USER_AGENT": BROWSER, "HTTP_REFERER": "https://a.example/", "CONTENT_TYPE": "text/plain"},
        "method": "GET",
        "target": b"/shoes?page=2",
        "remote": "192.0.2.1",
        "protocol": "HTTP/1.1",
        "status": "200 OK",
        "headers": [("Content-Type", "text/html"), ("Set-Cookie", "a=1"), ("set-cookie", "b=2")],
        "sent": 5120,
        "started": 1795157799.5,
        "wait": 0.125,
        "body": 0.25,
        "app": 1.5,
        "send": 0.0625,
        "facts": {"route": "/<shelf>", "mount": "shop", "request_id": "r-1", "user": "ann", "upstream": "http://a"},
        "thread": "worker-3",
    }
    return Access(**(values | changes))


def line(form: str, limit: int = 0, **changes: Any) -> str:
    return compile_format(form, limit)(access(**changes)).decode("ascii")


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("%(h)s %(l)s %(u)s", "192.0.2.1 - ann"),
        ("%(r)s", "GET /shoes?page=2 HTTP/1.1"),
        ("%(m)s %(U)s %(q)s %(H)s", "GET /shoes page=2 HTTP/1.1"),
        ("%(s)s %(b)s %(B)s %(bytes)s", "200 5120 5120 5120"),
        ("%(f)s|%(a)s", f"https://a.example/|{BROWSER}"),
        ("%(T)s %(M)s %(D)s %(L)s", "1 1937 1937500 1.937500"),
        ("%(wait)s %(body)s %(app)s %(send)s %(total)s", "125000 250000 1500000 62500 1937500"),
        ("%(p)s %(pid)s", "<PID> PID"),
        ("%(thread)s %(mount)s %(route)s %(request_id)s %(user)s", "worker-3 shop /<shelf> r-1 ann"),
        ("%(upstream)s", "http://a"),
        (
            "%({Content-Type}i)s %({user-agent}i)s",
            "text/plain " + BROWSER.replace(" ", "\\x20"),
        ),
        ('"%({content-type}o)s" "%({Set-Cookie}o)s"', '"text/html" "a=1, b=2"'),
        ("%({HTTP_REFERER}e)s %({missing}e)s %({missing}i)s %({missing}o)s", "https://a.example/ - - -"),
        ("%(target)s 100%%", "/shoes?page=2 100%"),
        ("%(time)s", "2026-11-20T06:56:39.500Z"),
    ],
)
def test_each_name_gives_what_gunicorn_users_expect(form: str, expected: str) -> None:
    # the same names for the tests in every process that runs them
    assert line(form) == expected.replace("PID", str(os.getpid())) + "\n"


def test_every_name_of_the_table_is_tried_above_or_here() -> None:
    for name in (*OWN, *FOREIGN, *(f"{{x}}{kind}" for kind in BRACED)):
        assert line(f'"%({name})s"').endswith('"\n')


def test_combined_is_the_line_that_log_tools_know() -> None:
    stamp = clock.common(1795157799)
    assert line("combined") == (
        f'192.0.2.1 - ann [{stamp}] "GET /shoes?page=2 HTTP/1.1" 200 5120 "https://a.example/" "{BROWSER}"\n'
    )
    assert re.fullmatch(r"20/Nov/2026:\d\d:\d\d:39 [+-]\d{4}", stamp)


def test_combined_written_out_and_compiled_agree() -> None:
    spelled = compile_format("combined")
    compiled = compile_format(f"{COMBINED} ")
    for record in (access(), access(sent=0, facts={}, environ={}, status=""), access(facts={"user": "a b"}, remote="")):
        assert compiled(record) == spelled(record)[:-1] + b" \n"


def test_what_is_missing_is_a_dash() -> None:
    found = line("combined", environ={}, facts={}, remote="", sent=0, status="", method="-", target=b"-")
    assert re.fullmatch(r'- - - \[[^]]+\] "-" - - "-" "-"\n', found)


def test_json_has_the_same_keys_each_time() -> None:
    full = json.loads(line("json"))
    empty = json.loads(line("json", environ={}, facts={}, status="", remote=""))
    assert tuple(full) == tuple(empty) == JSON_KEYS
    assert full["total"] == 1937500
    assert (full["wait"], full["body"], full["app"], full["send"]) == (125000, 250000, 1500000, 62500)
    assert full["upstream"] == "http://a"
    assert (full["time"], full["status"], full["bytes"]) == ("2026-11-20T06:56:39.500Z", 200, 5120)
    missing = ("status", "user", "host", "referer", "agent", "mount", "route", "request_id", "remote", "upstream")
    assert all(empty[key] is None for key in missing)


CLIENT_BYTES = st.binary(max_size=60) | st.sampled_from(
    [b'"}\n{"status": 500', b'" 200 1 "', b"\x1b[2J\r\n", b"\\", b"\\x22"]
)
CLIENT_TEXT = CLIENT_BYTES.map(lambda raw: raw.decode("latin-1"))


@given(target=CLIENT_BYTES, agent=CLIENT_TEXT, referer=CLIENT_TEXT, host=CLIENT_TEXT, user=CLIENT_TEXT)
@example(
    target=b'/"}\n{"status":500,"x":"', agent='", "status": 500, "', referer="\x00\x7f\x85\xff", host="\u2028", user=""
)
def test_json_comes_back_as_it_was_sent(target: bytes, agent: str, referer: str, host: str, user: str) -> None:
    environ = {"HTTP_USER_AGENT": agent, "HTTP_REFERER": referer, "HTTP_HOST": host, "REMOTE_USER": user}
    raw = compile_format("json")(access(target=target, environ=environ, facts={}))
    assert raw.isascii()
    assert raw.count(b"\n") == 1
    assert raw.endswith(b"}\n")
    found = json.loads(raw, object_pairs_hook=pairs)
    assert found["target"] == target.decode("latin-1")
    assert (found["agent"], found["referer"], found["host"]) == (agent or None, referer or None, host or None)
    assert found["user"] == (user or None)
    assert (found["status"], found["bytes"], found["remote"]) == (200, 5120, "192.0.2.1")


def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    assert tuple(name for name, _ in items) == JSON_KEYS, "no field may be added, doubled or lost"
    return dict(items)


@given(agent=CLIENT_TEXT, referer=CLIENT_TEXT, user=CLIENT_TEXT, query=CLIENT_TEXT)
def test_combined_comes_back_as_it_was_sent(agent: str, referer: str, user: str, query: str) -> None:
    environ = {"HTTP_USER_AGENT": agent, "HTTP_REFERER": referer, "REMOTE_USER": user}
    target = f"/a?{query}".encode("latin-1")
    raw = compile_format("combined")(access(target=target, environ=environ, facts={})).decode("ascii")
    assert raw.count("\n") == 1
    assert raw[:-1].isprintable()
    assert raw.count('"') == 6
    fields = raw[:-1].split('"')
    assert unescape(fields[3]) == (referer or "-")
    assert unescape(fields[5]) == (agent or "-")
    assert unescape(fields[0].split(" ")[2]) == (user or "-")
    assert fields[2] == " 200 5120 "
    entry = reader("combined")(raw[:-1])
    assert (entry.status, entry.bytes, entry.method, entry.target) == (200, 5120, "GET", target.decode("latin-1"))


FORMS = (
    '%(h)s|%(u)s|%({x}i)s|%(s)s|"%(a)s" %(b)s',
    "%(s)s\t%(a)s\t%(u)s\t%({x}i)s",
    "[%(u)s] (%(a)s) {%({x}i)s} %(s)s",
)


@given(form=st.sampled_from(FORMS), agent=CLIENT_TEXT, extra=CLIENT_TEXT, user=CLIENT_TEXT)
def test_a_custom_line_is_read_in_one_way_only(form: str, agent: str, extra: str, user: str) -> None:
    environ = {"HTTP_USER_AGENT": agent, "HTTP_X": extra, "REMOTE_USER": user}
    raw = compile_format(form)(access(environ=environ, facts={})).decode("ascii")
    assert raw.count("\n") == 1
    found, tail = places(form)
    pattern = "".join(f"{re.escape(place.before)}(.*)" for place in found) + re.escape(tail)
    greedy = re.fullmatch(pattern, raw[:-1])
    lazy = re.fullmatch(pattern.replace("(.*)", "(.*?)"), raw[:-1])
    assert greedy is not None
    assert lazy is not None
    assert greedy.groups() == lazy.groups()
    values = dict(zip((place.name for place in found), map(unescape, greedy.groups()), strict=True))
    assert (values["a"], values["{x}i"], values["u"]) == (agent or "-", extra or "-", user or "-")


def test_a_hostile_app_cannot_break_a_line_either() -> None:
    class Strange:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    environ = {"HTTP_USER_AGENT": Strange(), "HTTP_REFERER": 5, "HTTP_HOST": b"\n", "REMOTE_USER": "\u20ac\n\ud800"}
    for form in ("combined", "json", '%(u)s "%(a)s" "%({Host}i)s" %({HTTP_REFERER}e)s'):
        found = line(form, environ=environ, facts={})
        assert found.count("\n") == 1
        assert "Strange" in found
    assert "\\xe2\\x82\\xac\\x0a\\xed\\xa0\\x80" in line("combined", environ=environ, facts={})


def test_response_headers_and_facts_are_escaped_too() -> None:
    found = line('"%({x}o)s" %(route)s', headers=[("X", 'a"\nb')], facts={"route": "/a b"})
    assert found == '"a\\x22\\x0ab" /a\\x20b\n'


@pytest.mark.parametrize("form", ["combined", "json", '"%(r)s" %(f)s %(s)s'])
def test_long_fields_are_clipped_and_lines_stay_whole(form: str) -> None:
    hostile = b"/" + b'"\xff' * 5000
    environ = {"HTTP_USER_AGENT": '"' * 5000, "HTTP_REFERER": "r" * 5000}
    found = line(form, limit=1000, target=hostile, environ=environ)
    assert len(found) < 4096
    assert found.count("...") >= 2
    assert not re.search(r"\\(?:x.?|u.{0,3})?\.\.\.", found), "an escape was cut in two"
    assert reader("auto" if form != '"%(r)s" %(f)s %(s)s' else form)(found[:-1]).status == 200


def test_a_limit_leaves_short_lines_alone() -> None:
    assert line("combined", limit=1000) == line("combined")
    assert line("json", limit=1000) == line("json")


@given(text=st.text(max_size=20), limit=st.integers(16, 40))
def test_clip_keeps_whole_escapes(text: str, limit: int) -> None:
    clipped = clip(escape(text), limit)
    assert len(clipped) <= limit
    kept = clipped if clipped == escape(text) else clipped.removesuffix("...")
    as_bytes = text.encode("latin-1") if max(text, default="") <= "\xff" else text.encode("utf-8", "surrogatepass")
    assert as_bytes.decode("latin-1").startswith(unescape(kept))
    assert isinstance(json.loads(json_text(text, limit)), str)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("%(hh)s", r"unknown name %\(hh\)s"),
        ("%(rout)s", r"did you mean %\(route\)s"),
        ("%h %l", "'%h %l'"),
        ("%(h)d", "'%\\(h\\)d'"),
        ("no names", "it is"),
        ("%({x}z)s", "unknown name"),
        ("%", "write"),
    ],
)
def test_a_wrong_format_says_what_is_wrong(form: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compile_format(form)


@pytest.mark.parametrize(
    "wrong",
    [
        {"log_level": "loud"},
        {"slow_log": -1.0},
        {"slow_log": float("nan")},
        {"error_logfile": ""},
        {"access_log_field_limit": 3},
    ],
)
def test_wrong_settings_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong)).replace("error_logfile", "log file")):
        LogSettings(**wrong)


def test_time_zones_and_seconds_are_written_right(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setattr(clock, "_common", (-1, ""))
    try:
        for zone, offset in (("UTC0", "+0000"), ("IST-5:30", "+0530"), ("NST3:30", "-0330")):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            clock._common = (-1, "")
            assert clock.common(86400.9) == time.strftime(f"%d/Jan/1970:%H:%M:%S {offset}", time.localtime(86400))
    finally:
        monkeypatch.undo()
        time.tzset()
        clock._common = (-1, "")
    assert clock.iso(1.9996) == "1970-01-01T00:00:01.999Z"


def test_a_wrong_format_is_told_also_where_no_log_is_written() -> None:
    with pytest.raises(ConfigError, match=r"access_logformat: unknown name %\(statu\)s"):
        LogSettings(access_logformat="%(h)s %(statu)s")
    LogSettings(access_logformat="%(h)s %(s)s")
