"""The cache of compiled stylesheets: what makes it compile again, who waits, and what a broken edit does."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

import pytest

from wsgikit.middleware.xslt.engine import Source
from wsgikit.middleware.xslt.failures import SheetError
from wsgikit.middleware.xslt.sheets import Sheets
from wsgikit.middleware.xslt.space import Folders, file_uri

LOG = logging.getLogger("wsgikit.test.xslt")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """A cache over a counting engine."""

    def __init__(self, bench: Any, check: float = 0.0, most: int = 10) -> None:
        self.bench = bench
        self.clock = Clock()
        self.engine = bench.engine()
        self.space = Folders(self.engine.policy)
        self.compiled = 0
        self.gate: threading.Event | None = None
        self.entered = threading.Event()
        compile_ = self.engine.compile

        def counting(uri: str, space: Any) -> Any:
            self.compiled += 1
            if self.gate is not None:
                self.entered.set()
                assert self.gate.wait(20)
            return compile_(uri, space)

        self.engine.compile = counting
        self.sheets = Sheets(self.engine, check=check, most=most, logger=LOG, clock=self.clock)

    def get(self, path: str) -> Any:
        return self.sheets.get(file_uri(path), self.space)

    def says(self, path: str) -> str:
        compiled = self.get(path)
        result = compiled.sheet.apply(Source(b"<a/>"), {})
        self.sheets.note(compiled, result.documents)
        return str(result.body.decode().split(">")[-2].partition("<")[0])


@pytest.fixture
def desk(bench: Any) -> Desk:
    return Desk(bench)


def saying(bench: Any, text: str, name: str = "main.xsl", before: str = "") -> str:
    body = f'{before}<xsl:output omit-xml-declaration="yes"/><xsl:template match="/"><o>{text}</o></xsl:template>'
    return str(bench.sheet(body, name))


def test_an_unchanged_one_is_compiled_once(desk: Desk) -> None:
    path = saying(desk.bench, "one")
    assert {desk.says(path) for _ in range(5)} == {"one"}
    assert desk.compiled == 1


def test_a_change_of_any_file_is_seen(desk: Desk) -> None:
    saying(desk.bench, "one", "deep.xsl")
    desk.bench.sheet('<xsl:import href="deep.xsl"/>', "middle.xsl")
    path = desk.bench.sheet('<xsl:import href="middle.xsl"/>')
    assert desk.says(path) == "one"
    before = desk.get(path).fingerprint
    saying(desk.bench, "two", "deep.xsl")
    assert desk.says(path) == "two"
    assert desk.get(path).fingerprint != before


def test_a_change_within_one_tick_of_the_clock_is_seen(desk: Desk) -> None:
    """Same size, same inode, same time: as when an editor writes twice within a few milliseconds."""
    path = saying(desk.bench, "one")
    status = os.stat(path)
    assert desk.says(path) == "one"
    saying(desk.bench, "two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert desk.says(path) == "two"


def test_an_older_file_in_its_place_is_seen(desk: Desk) -> None:
    path = saying(desk.bench, "new")
    assert desk.says(path) == "new"
    other = saying(desk.bench, "old", "other.xsl")
    os.utime(other, (1_000_000_000, 1_000_000_000))
    os.replace(other, path)
    assert desk.says(path) == "old"
    assert desk.get(path).modified == 1_000_000_000


def test_looked_at_no_more_often_than_asked(bench: Any) -> None:
    desk = Desk(bench, check=5.0)
    path = saying(bench, "one")
    assert desk.says(path) == "one"
    saying(bench, "two")
    desk.clock.now += 4.9
    assert desk.says(path) == "one"
    desk.clock.now += 0.2
    assert desk.says(path) == "two"


def test_a_broken_edit_keeps_the_last_good_one_and_is_told_once(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    path = saying(desk.bench, "good")
    assert desk.says(path) == "good"
    desk.bench.put("main.xsl", "<broken>\n<x></broken>")
    for _ in range(4):
        assert desk.says(path) == "good"
    assert desk.compiled == 2, "the broken one is tried once"
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert f"{path}:2:" in errors[0]
    assert "last good" in errors[0]
    saying(desk.bench, "mended")
    assert desk.says(path) == "mended"


def test_a_broken_import_is_mended_by_its_own_file(desk: Desk) -> None:
    saying(desk.bench, "one", "inner.xsl")
    path = desk.bench.sheet('<xsl:import href="inner.xsl"/>')
    assert desk.says(path) == "one"
    os.rename(desk.bench.root / "inner.xsl", desk.bench.root / "away.xsl")
    assert desk.says(path) == "one"
    assert desk.says(path) == "one"
    compiled = desk.compiled
    os.rename(desk.bench.root / "away.xsl", desk.bench.root / "inner.xsl")
    assert desk.says(path) == "one"
    assert desk.compiled == compiled + 1


def test_one_that_never_was_good_is_an_error_until_it_is(desk: Desk) -> None:
    path = desk.bench.put("main.xsl", "<broken")
    for _ in range(3):
        with pytest.raises(SheetError) as caught:
            desk.get(path)
        assert caught.value.place.file == path
    assert desk.compiled == 1
    saying(desk.bench, "good")
    assert desk.says(path) == "good"


def test_one_that_is_not_there_comes(desk: Desk) -> None:
    path = str(desk.bench.root / "main.xsl")
    for _ in range(2):
        with pytest.raises(SheetError):
            desk.get(path)
    saying(desk.bench, "here")
    assert desk.says(path) == "here"


def test_while_one_thread_compiles_the_others_are_served_the_old_one(desk: Desk) -> None:
    path = saying(desk.bench, "old")
    assert desk.says(path) == "old"
    saying(desk.bench, "new")
    desk.gate = threading.Event()
    said: list[str] = []
    slow = threading.Thread(target=lambda: said.append(desk.says(path)))
    slow.start()
    assert desk.entered.wait(20)
    assert [desk.says(path) for _ in range(10)] == ["old"] * 10
    desk.gate.set()
    slow.join(20)
    assert said == ["new"]
    assert desk.says(path) == "new"
    assert desk.compiled == 2


def test_where_there_is_nothing_yet_all_wait_for_one(desk: Desk) -> None:
    path = saying(desk.bench, "first")
    desk.gate = threading.Event()
    said: list[str] = []
    threads = [threading.Thread(target=lambda: said.append(desk.says(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert desk.entered.wait(20)
    desk.gate.set()
    for thread in threads:
        thread.join(20)
    assert said == ["first"] * 8
    assert desk.compiled == 1


def test_documents_count_as_files_of_the_stylesheet(desk: Desk) -> None:
    desk.bench.put("data.xml", "<v>1</v>")
    path = saying(desk.bench, "<xsl:value-of select=\"document('data.xml')\"/>")
    before = desk.get(path)
    assert desk.says(path) == "1"
    known = desk.get(path)
    assert known.fingerprint != before.fingerprint
    assert known.sheet is before.sheet
    assert desk.get(path) == known
    desk.bench.put("data.xml", "<v>22</v>")
    assert desk.get(path).fingerprint != known.fingerprint
    assert desk.says(path) == "22"
    assert desk.get(path).fingerprint not in (known.fingerprint, before.fingerprint)
    assert desk.compiled == 1


def test_more_documents_than_can_be_watched_make_it_volatile(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from wsgikit.middleware.xslt import sheets

    monkeypatch.setattr(sheets, "_DOCUMENTS", 3)
    for number in range(5):
        desk.bench.put(f"{number}.xml", "<v/>")
    path = saying(desk.bench, "".join(f"<xsl:value-of select=\"document('{n}.xml')\"/>" for n in range(5)))
    assert not desk.get(path).volatile
    desk.says(path)
    assert desk.get(path).volatile


def test_only_so_many_are_kept(bench: Any) -> None:
    desk = Desk(bench, most=3)
    paths = [saying(bench, str(number), f"{number}.xsl") for number in range(6)]
    for path in paths:
        desk.says(path)
    assert len(desk.sheets._entries) == 3
    assert desk.says(paths[0]) == "0"
    assert desk.compiled == 7
