"""The status page: who may look, what it says, in three forms."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from html.parser import HTMLParser

import pytest
from scripted_upstream import ScriptedUpstream, answering, ok
from wsgi_call import call, environ_of

from wsgikit.errors import ConfigError
from wsgikit.middleware import status_data
from wsgikit.middleware.balancer import Balancer
from wsgikit.middleware.balancer.board import REASONS
from wsgikit.middleware.status import Status
from wsgikit.middleware.status_data import percentile

LOCAL = {"REMOTE_ADDR": "127.0.0.1", "SCRIPT_NAME": "/-/status"}


def ask(path: str, **more: object):
    environ = environ_of(b"/")
    environ.update({**LOCAL, "PATH_INFO": path, **more})
    return call(Status(), environ)


@pytest.fixture
def busy():
    """An upstream named with what would break out of HTML, with one endpoint up, one down, one draining."""
    with ScriptedUpstream(answering(ok())) as upstream:
        app = Balancer(
            [upstream.url, "http://127.0.0.1:9 weight=3", "http://10.0.0.1 drain"],
            name='<b>"shop"',
            balance="round-robin",
            eject={"failures": 1, "base": 60},
            breaker={},
        )
        for _ in range(5):
            call(app, environ_of(b"/"))
        app.upstream.publish()
        yield app
        app.close()


def test_strangers_see_nothing() -> None:
    assert ask("/", REMOTE_ADDR="192.0.2.1").code == 404
    assert ask("/", REMOTE_ADDR="").code == 404  # nearly always a proxy's
    assert call(Status(allow=["unix"]), environ_of(b"/", REMOTE_ADDR="")).code == 200
    assert ask("/", REQUEST_METHOD="POST").code == 405
    assert ask("/nothing").code == 404
    environ = environ_of(b"/", REMOTE_ADDR="10.1.2.3")
    assert call(Status(allow=["10.0.0.0/8"]), environ).code == 200


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"HTTP_X_FORWARDED_FOR": "192.0.2.1"}, 404),
        ({"HTTP_X_FORWARDED_FOR": "127.0.0.1, 192.0.2.1"}, 404),
        ({"HTTP_X_FORWARDED_FOR": "::1"}, 200),
        ({"HTTP_X_FORWARDED_FOR": ""}, 404),
        ({"HTTP_X_REAL_IP": "192.0.2.1"}, 404),
        ({"HTTP_FORWARDED": 'for=127.0.0.1;proto=http, For="[2001:db8::1]"'}, 404),
        ({"HTTP_FORWARDED": 'for="[::1]";proto=http'}, 200),
        ({"HTTP_FORWARDED": "for=unknown"}, 404),
    ],
)
def test_a_proxy_on_this_machine_opens_it_to_nobody(fields: dict[str, str], code: int) -> None:
    assert ask("/", **fields).code == code


def test_json_has_the_state_of_every_endpoint(busy) -> None:
    answer = ask("/json")
    assert answer.get("Cache-Control") == "no-store"
    (upstream,) = json.loads(answer.body)["upstreams"]
    assert (upstream["name"], upstream["balance"], upstream["state"]) == ('<b>"shop"', "round-robin", "degraded")
    assert upstream["breaker"] == {"open": False, "tries_again_in": 0.0, "openings": 0}
    up, down, drained = upstream["endpoints"]
    assert (up["state"], up["requests"], up["failures"], up["in_flight"]) == ("up", 5, 0, 0)
    assert 0 < up["latency"]["p50"] <= up["latency"]["p99"] < 5
    assert sum(up["history"]) == 5
    assert (down["state"], down["failures"], down["connect_failures"], down["weight"]) == ("ejected", 1, 1, 3)
    assert re.fullmatch(r"cannot connect; \d+ s left", down["why"])
    assert down["latency"]["p50"] is None
    assert (down["times_ejected"], down["ejections"]) == (1, 1)
    assert drained["state"] == "draining"


def test_an_open_breaker_shows(busy) -> None:
    for _ in range(3):
        busy.upstream.breaker.note(True)
    busy.upstream.board.opened(time.monotonic() + 30)
    (upstream,) = json.loads(ask("/json").body)["upstreams"]
    assert upstream["state"] == "down"  # nobody gets through, whatever the endpoints are
    assert upstream["breaker"]["open"]
    assert 25 < upstream["breaker"]["tries_again_in"] <= 30
    assert "breaker open, " in ask("/").body.decode()


def test_every_ejection_has_its_reason_in_words() -> None:
    assert set(status_data._WHY) == set(REASONS)


class Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attributes) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag) -> None:
        if tag == "html":
            return
        assert self.open.pop() == tag


def test_the_page_is_escaped_whole_and_needs_nothing_else(busy) -> None:
    answer = ask("/")
    text = answer.body.decode()
    outline = Outline()
    outline.feed(text)
    assert "b" not in outline.tags
    assert "&lt;b&gt;&quot;shop&quot;" in text
    assert outline.tags.count("tr") == 4
    assert outline.tags.count("svg") == 3
    assert set(outline.addresses) == {"data:,", "/-/status/json", "/-/status/metrics"}
    policy = answer.get("Content-Security-Policy") or ""
    assert "default-src 'none'" in policy
    for kind in ("style", "script"):
        import base64
        import hashlib

        (inline,) = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        assert base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode() in policy


def test_a_hostile_prefix_stays_text(busy) -> None:
    text = ask("/", SCRIPT_NAME='/"><script>').body.decode()
    assert '"><script>/json' not in text


def test_an_empty_page_says_so() -> None:
    assert "No upstream" in ask("/").body.decode()
    assert json.loads(ask("/json").body)["upstreams"] == []
    head = ask("/", REQUEST_METHOD="HEAD")
    assert (head.code, head.body) == (200, b"")


def test_prometheus_can_read_it(busy) -> None:
    text = ask("/metrics").body.decode()
    line = re.compile(r'[a-z_]+(\{([a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\})? [0-9.e+-]+')
    samples: dict[str, float] = {}
    for each in text.splitlines():
        if not each.startswith("#"):
            assert line.fullmatch(each), each
            name, _, value = each.rpartition(" ")
            assert name not in samples
            samples[name] = float(value)
    url = busy.endpoints[0].url
    labels = f'upstream="<b>\\"shop\\"",endpoint="{url}"'
    assert samples[f"wsgikit_upstream_requests_total{{{labels}}}"] == 5
    assert samples[f'wsgikit_upstream_first_byte_seconds_bucket{{{labels},le="+Inf"}}'] == 5
    assert samples[f"wsgikit_upstream_first_byte_seconds_count{{{labels}}}"] == 5
    assert samples[f'wsgikit_upstream_state{{{labels},state="up"}}'] == 1
    buckets = [value for name, value in samples.items() if "_bucket" in name and url in name]
    assert buckets == sorted(buckets)
    for name in {name.partition("{")[0] for name in samples}:
        family = re.sub(r"_(bucket|sum|count)$", "", name) if "seconds" in name else name
        assert f"# TYPE {family} " in text


def test_the_parser_of_prometheus_reads_it(busy) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    families = {family.name: family for family in parser.text_string_to_metric_families(ask("/metrics").body.decode())}
    url = busy.endpoints[0].url
    assert families["wsgikit_upstream_requests"].type == "counter"
    assert families["wsgikit_upstream_first_byte_seconds"].type == "histogram"
    (requests,) = [one for one in families["wsgikit_upstream_requests"].samples if one.labels["endpoint"] == url]
    assert (requests.value, requests.labels["upstream"]) == (5, '<b>"shop"')
    ejected = {one.labels["endpoint"]: one.value for one in families["wsgikit_upstream_times_ejected"].samples}
    assert sorted(ejected.values()) == [0, 0, 1]
    for family in families.values():
        assert family.samples, family.name
        assert family.documentation, family.name


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_wrong(busy) -> None:
    command = ["promtool", "check", "metrics"]
    done = subprocess.run(command, input=ask("/metrics").body, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_percentiles() -> None:
    assert percentile([0] * 40, 0.5) is None
    counts = [0] * 40
    counts[4], counts[10] = 90, 10
    assert percentile(counts, 0.5) == percentile(counts, 0.9) == pytest.approx(0.001)
    assert percentile(counts, 0.91) == pytest.approx(0.008)


@pytest.mark.parametrize("options", [{"allow": "10.0.0.0/8"}, {"allow": ["x"]}, {"refresh": 0.1}])
def test_wrong_options(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Status(**options)  # type: ignore[arg-type]
