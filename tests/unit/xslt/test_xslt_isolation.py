"""Untrusted stylesheets in processes of their own: stopped at the deadline and at the limit of memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from wsgikit.middleware.xslt.engine import Parameter, Source
from wsgikit.middleware.xslt.failures import (
    Deadline,
    Refused,
    SheetError,
    SourceError,
    Terminated,
    TooLarge,
    TransformError,
)
from wsgikit.middleware.xslt.isolation import IsolatedEngine, Isolation
from wsgikit.middleware.xslt.policy import Limits, policy_from
from wsgikit.middleware.xslt.space import Folders, file_uri

MANY = b"<a>" + b"<b/>" * 400 + b"</a>"


@contextmanager
def isolated(bench: Any, *allow: str, limits: Any = None, **settings: Any) -> Iterator[Any]:
    policy = policy_from([], roots=[str(bench.root)], allow=allow, limits=limits)
    engine = IsolatedEngine("lxml", policy, Isolation(**settings))
    try:
        yield lambda path: engine.compile(file_uri(path), Folders(policy))
    finally:
        engine.close()


@pytest.fixture(scope="module")
def shared(bench_class: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One engine for tests that only look at results: a process takes a moment to start."""
    bench = bench_class(tmp_path_factory.mktemp("isolated"))
    with isolated(bench, processes=1) as compiled:
        yield bench, compiled


def children() -> set[str]:
    """Our child processes."""
    with open(f"/proc/self/task/{threading.get_native_id()}/children") as file:
        return set(file.read().split())


@pytest.fixture
def started() -> Iterator[Any]:
    """`started()`: the processes that this test has started and that are still there."""
    before = children()
    yield lambda: children() - before
    assert children() - before == set(), "a process was left behind"


def test_results_errors_and_messages_are_those_of_the_engine(shared: Any) -> None:
    bench, compiled = shared
    bench.put("data.xml", "<data>5</data>")
    bench.sheet('<xsl:output method="html" encoding="iso-8859-1"/>', "inner.xsl")
    path = bench.sheet(
        '<xsl:import href="inner.xsl"/><xsl:param name="p"/><xsl:template match="/"><xsl:message>hello</xsl:message>'
        "<html><xsl:value-of select=\"concat($p, document('data.xml'), /a)\"/></html></xsl:template>"
    )
    sheet = compiled(path)
    result = sheet.apply(Source("<a>\u00e9</a>".encode()), {"p": Parameter("it's ")})
    assert result.body.strip() == "<html>it's 5\u00e9</html>".encode("latin-1")
    assert (result.content_type, result.messages) == ("text/html; charset=iso-8859-1", ("hello",))
    assert [dependency.uri for dependency in result.documents] == [file_uri(str(bench.root / "data.xml"))]
    names = sorted(dependency.uri.rpartition("/")[2] for dependency in sheet.bundle.dependencies)
    assert names == ["inner.xsl", "main.xsl"]
    assert all(dependency.stamp for dependency in sheet.bundle.dependencies)
    with pytest.raises(SourceError) as caught:
        sheet.apply(Source(b"<a>\n<b></a>", name="page.xml"), {})
    assert caught.value.place[:2] == ("page.xml", 2)


def test_terminating_messages_come_back(shared: Any) -> None:
    bench, compiled = shared
    text = '<xsl:template match="/"><xsl:message terminate="yes">404 Not found</xsl:message></xsl:template>'
    with pytest.raises(Terminated, match="404 Not found") as caught:
        compiled(bench.sheet(text, "end.xsl")).apply(Source(b"<a/>"), {})
    assert caught.value.messages == ("404 Not found",)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("document-absolute.xsl", "outside"),
        ("document-parent.xsl", "outside"),
        ("import-outside.xsl", "outside"),
        ("write-exsl.xsl", "write"),
        ("write-xsl.xsl", "write"),
        ("dynamic.xsl", "dynamic"),
        ("regexp.xsl", "regexp"),
        ("entity.xsl", "doctype"),
    ],
)
def test_refusals_are_the_same(shared: Any, name: str, reason: str) -> None:
    bench, compiled = shared
    with pytest.raises(Refused) as caught:
        compiled(bench.put(name)).apply(Source(b"<page/>"), {})
    assert caught.value.reason == reason
    assert not (bench.root / "written.xml").exists()


def test_limits_are_the_same(bench: Any) -> None:
    with isolated(bench, limits=Limits(source=1000, output=1 << 16, nodes=50)) as compiled:
        sheet = compiled(bench.put("identity.xsl"))
        for source, limit in (
            (b"<a>%s</a>" % (b"x" * 1000), "max_input"),
            (b"<a>%s</a>" % (b"<b/>" * 60), "max_nodes"),
        ):
            with pytest.raises(TooLarge) as caught:
                sheet.apply(Source(source), {})
            assert caught.value.limit == limit
        with pytest.raises(TooLarge) as caught:
            compiled(bench.put("flood.xsl")).apply(Source(b"<a/>"), {})
        assert caught.value.limit == "max_output"


def test_past_the_deadline_it_is_stopped_and_the_next_one_served(bench: Any, started: Any) -> None:
    with isolated(bench, seconds=0.7, processes=1) as compiled:
        endless, quick = compiled(bench.put("endless.xsl")), compiled(bench.put("identity.xsl"))
        before = started()
        assert len(before) == 1
        began = time.monotonic()
        with pytest.raises(Deadline):
            endless.apply(Source(MANY), {})
        assert time.monotonic() - began < 3
        assert started() == set(), "the process that was stopped is still there"
        assert b"<page/>" in quick.apply(Source(b"<page/>"), {}).body


def test_memory_is_limited_and_returns(bench: Any) -> None:
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    with isolated(bench, seconds=20, memory=160 << 20, processes=1) as compiled:
        greedy, quick = compiled(bench.put("memory.xsl")), compiled(bench.put("identity.xsl"))
        before = resident()
        with pytest.raises((TransformError, Deadline, TooLarge)) as caught:
            greedy.apply(Source(b"<a/>"), {})
        assert isinstance(caught.value, Deadline) or "`memory`" in caught.value.text
        assert resident() - before < 20 << 20
        assert b"<page/>" in quick.apply(Source(b"<page/>"), {}).body


def test_a_process_that_stays_large_makes_room_for_another(bench: Any, started: Any) -> None:
    for memory, kept in ((512 << 20, True), (32 << 20, False)):  # a fresh one takes about 25 MiB
        with isolated(bench, memory=memory, processes=1) as compiled:
            sheet = compiled(bench.put("identity.xsl"))
            sheet.apply(Source(b"<a/>"), {})
            assert bool(started()) is kept


def test_a_process_is_replaced_after_so_many_runs(bench: Any, started: Any) -> None:
    with isolated(bench, runs=3, processes=1) as compiled:
        sheet = compiled(bench.put("identity.xsl"))
        seen = set()
        for _ in range(6):
            sheet.apply(Source(b"<a/>"), {})
            seen |= started()
        assert len(seen) >= 2


def test_a_process_that_somebody_kills_is_replaced(bench: Any, started: Any) -> None:
    with isolated(bench, processes=1) as compiled:
        sheet = compiled(bench.put("identity.xsl"))
        (child,) = started()
        os.kill(int(child), 9)
        os.waitid(os.P_PID, int(child), os.WEXITED | os.WNOWAIT)
        assert b"<a/>" in sheet.apply(Source(b"<a/>"), {}).body, "nobody's request was lost with it"
        assert len(started()) == 1


def test_no_more_processes_than_allowed_and_waiting_has_an_end(bench: Any, started: Any) -> None:
    with isolated(bench, seconds=0.5, processes=2) as compiled:
        endless = compiled(bench.put("endless.xsl"))
        errors: list[str] = []

        def work() -> None:
            try:
                endless.apply(Source(MANY), {})
            except Deadline as error:
                errors.append(str(error))

        threads = [threading.Thread(target=work) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(errors) == 5


def test_a_stylesheet_lives_on_when_its_files_are_gone(bench: Any) -> None:
    with isolated(bench, runs=1, processes=1) as compiled:
        path = bench.put("identity.xsl")
        sheet = compiled(path)
        os.unlink(path)
        for _ in range(3):
            assert b"<a/>" in sheet.apply(Source(b"<a/>"), {}).body
        with pytest.raises(SheetError):
            compiled(path)


def test_after_a_fork_nobody_uses_the_parents_processes(bench: Any) -> None:
    with isolated(bench, processes=1) as compiled:
        sheet = compiled(bench.put("identity.xsl"))
        pid = os.fork()
        if not pid:
            try:
                works = b"<child/>" in sheet.apply(Source(b"<child/>"), {}).body
                sheet.engine.close()
            except BaseException:
                works = False
            os._exit(0 if works else 1)
        for _ in range(20):
            assert b"<a/>" in sheet.apply(Source(b"<a/>"), {}).body
        assert os.waitpid(pid, 0)[1] == 0


def test_what_a_taken_over_process_sends_is_only_data(bench: Any) -> None:
    from wsgikit.middleware.xslt.frames import FrameError, pack, read_frame
    from wsgikit.middleware.xslt.plain_data import bundle_from, error_from

    def reader(data: bytes) -> Any:
        view = [data]

        def read(size: int) -> bytes:
            out, view[0] = view[0][:size], view[0][size:]
            if len(out) < size:
                raise FrameError("end")
            return out

        return read

    good = pack({"a": 1}, [b"x", b"yz"])
    assert read_frame(reader(good), 3) == ({"a": 1, "blobs": [1, 2]}, [b"x", b"yz"])
    for bad, largest in (
        (good, 2),
        (b"\xff\xff\xff\xff", 10),
        (b"\0\0\0\x02{}", 10),
        (b"\0\0\0\x02[]", 10),
        (b"\0\0\0\x04abcd", 10),
        (pack({}, [b"x"])[:-1], 10),
        (b'\0\0\0\x0f{"blobs": [-1]}', 10),
    ):
        with pytest.raises(FrameError):
            read_frame(reader(bad), largest)
    assert type(error_from({"kind": "SystemExit", "text": ["x"], "place": "x", "messages": 5})) is TransformError
    assert bundle_from({"output": {"media-type": "a\r\nb"}, "notes": [1], "links": 3}, {}).output.media_type == ""
