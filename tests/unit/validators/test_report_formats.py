"""Every format of a report, read back by tools that are not ours where there are any."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from wsgikit.errors import ConfigError
from wsgikit.validators.report import (
    Expectation,
    Finding,
    Location,
    Report,
    Reproducer,
    Verdict,
    command,
    document,
    github,
    junit,
    page,
    sarif,
    text,
)

HOSTILE = "</script><script>alert(1)</script> & \"quotes\" 'single' \x00\x1b[31m \ud800 ::error::x%0A | pipe\nline"


@pytest.fixture
def report() -> Report:
    again = Reproducer(raw=b"GET /\xff HTTP/1.1\r\n\r\n", command="curl x", script="print(1)")
    return Report(
        kind="app",
        target="pkg.mod:app",
        profile="http",
        findings=(
            Finding(rule="WSGI-A33", verdict=Verdict.FAIL, detail="called twice", case="GET /", reproducer=again,
                    location=Location(str(Path.cwd() / "pkg" / "mod.py"), 12, "app"), layer="Compress"),
            Finding(rule="WSGI-A42", verdict=Verdict.WARN, detail=HOSTILE, location=Location("/elsewhere/x.py", 3)),
            Finding(rule="WSGI-A39", verdict=Verdict.INFO, detail="write() is used"),
            Finding(rule="WSGI-A04", verdict=Verdict.PASS),
            Finding(rule="WSGI-A23", verdict=Verdict.SKIP, reason="only a human can judge it"),
            Finding(rule="WSGI-A07", verdict=Verdict.DEVIATION, detail="x", reason="declared", issue="https://x/1"),
            Finding(rule="WSGI-A02", verdict=Verdict.INCONCLUSIVE, detail="now this, now that"),
            Finding(rule="WSGI-A08", verdict=Verdict.ERROR, detail="the check broke"),
        ),
        facts={"version": "1.2", "command": "run it"},
        notes=("a note",),
        stale=(Expectation("WSGI-A04", "*", "was broken once"),),
    )  # fmt: skip


class TestJson:
    def test_it_comes_back_as_it_was(self, report: Report, tmp_path: Path) -> None:
        path = tmp_path / "report.json"
        path.write_text(document.render(report), encoding="utf-8")
        back = document.read(path)

        assert set(back.findings) == set(report.findings)
        assert document.render(back) == document.render(report)

    def test_a_foreign_tool_finds_it_valid(self, report: Report, tmp_path: Path) -> None:
        pytest.importorskip("check_jsonschema")
        path = tmp_path / "report.json"
        path.write_text(document.render(report), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "check_jsonschema", "--schemafile", str(document.SCHEMA), str(path)],
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 0, done.stdout

    def test_the_schema_knows_every_verdict_and_profile(self) -> None:
        from wsgikit.validators.rules import PROFILES

        schema = json.loads(document.SCHEMA.read_text())

        assert set(schema["$defs"]["verdict"]["enum"]) == set(Verdict)
        assert tuple(schema["properties"]["profile"]["enum"]) == PROFILES
        assert schema["properties"]["version"]["const"] == document.VERSION

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"format": "other"}, "not a wsgikit-report"),
            ({"version": 2}, "reads version 1"),
            ({"results": [{}]}, "damaged"),
            ({"results": 7}, "damaged"),
        ],
    )
    def test_what_is_not_ours_is_refused(
        self, report: Report, tmp_path: Path, change: dict[str, Any], message: str
    ) -> None:
        path = tmp_path / "report.json"
        path.write_text(json.dumps(document.to_document(report) | change))
        with pytest.raises(ConfigError, match=message):
            document.read(path)

    def test_rubbish_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "report.json"
        path.write_bytes(b"\xff\xfe[")
        with pytest.raises(ConfigError, match=r"report\.json"):
            document.read(path)


class TestJUnit:
    def test_a_foreign_reader_counts_the_same(self, report: Report) -> None:
        junitparser = pytest.importorskip("junitparser")
        suites = junitparser.JUnitXml.fromstring(junit.render(report).encode())

        assert (suites.tests, suites.failures, suites.errors, suites.skipped) == (8, 1, 1, 2)

    def test_a_should_passes_with_output_and_a_must_fails(self, report: Report) -> None:
        root = ElementTree.fromstring(junit.render(report))
        cases = {case.attrib["name"].split()[0]: case for case in root.iter("testcase")}

        assert cases["WSGI-A33"].find("failure") is not None
        assert [child.tag for child in cases["WSGI-A42"]] == ["system-out"]
        assert [child.tag for child in cases["WSGI-A04"]] == []
        assert cases["WSGI-A23"].find("skipped") is not None
        assert "curl x" in (cases["WSGI-A33"].find("failure").text or "")  # type: ignore[union-attr]

    def test_an_aborted_run_is_an_error(self) -> None:
        found = Report(kind="server", target="x", profile="pep", aborted="did not start")
        root = ElementTree.fromstring(junit.render(found))

        assert root.attrib["errors"] == "1"

    def test_the_same_report_gives_the_same_bytes(self, report: Report) -> None:
        assert junit.render(report) == junit.render(report)


class TestGitHub:
    def test_the_ten_worst_come_first_and_one_of_each_rule(self) -> None:
        many = [Finding(rule="WSGI-A33", verdict=Verdict.FAIL, detail=str(number)) for number in range(30)]
        found = Report(
            kind="app", target="x", profile="http",
            findings=(*many, Finding(rule="WSGI-A42", verdict=Verdict.WARN, detail="w")),
        )  # fmt: skip
        lines = github.render(found).splitlines()

        assert len(lines) == 11
        assert lines[0] == "::error title=WSGI-A33::0"
        assert lines[1] == "::warning title=WSGI-A42::w"

    def test_paths_are_relative_and_text_cannot_make_commands(self, report: Report) -> None:
        lines = github.render(report).splitlines()

        assert any(line.startswith("::error file=pkg/mod.py,line=12,title=WSGI-A33::called twice") for line in lines)
        assert [line for line in lines if line.startswith("::") and "title=" not in line] == []
        assert "%250A" in github.render(report)

    def test_the_step_summary_is_appended(
        self, report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "summary.md"
        path.write_text("before\n")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
        clean = Report(kind="app", target="x|y", profile="http", findings=report.findings[:1])
        github.render(clean)
        summary = path.read_text()

        assert summary.startswith("before\n### wsgikit check app `x\\|y`")
        assert "| FAIL | [WSGI-A33](" in summary


class TestSarif:
    def test_only_findings_with_a_line_are_in_it(self, report: Report) -> None:
        log = json.loads(sarif.render(report))
        (run,) = log["runs"]
        places = [result["locations"][0]["physicalLocation"] for result in run["results"]]

        assert [result["ruleId"] for result in run["results"]] == ["WSGI-A33", "WSGI-A42"]
        assert [place["artifactLocation"]["uri"] for place in places] == ["pkg/mod.py", "file:///elsewhere/x.py"]
        assert [run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] for result in run["results"]] == [
            "WSGI-A33",
            "WSGI-A42",
        ]

    def test_a_run_that_did_not_finish_is_no_success(self, report: Report) -> None:
        (whole,) = json.loads(sarif.render(replace(report, aborted="")))["runs"][0]["invocations"]
        (cut,) = json.loads(sarif.render(replace(report, aborted="it hangs")))["runs"][0]["invocations"]

        assert whole == {"executionSuccessful": True}
        assert cut["executionSuccessful"] is False
        assert cut["toolExecutionNotifications"][0]["message"] == {"text": "it hangs"}

    def test_a_foreign_reader_counts_the_same(self, report: Report, tmp_path: Path) -> None:
        loader = pytest.importorskip("sarif.loader")
        path = tmp_path / "report.sarif"
        path.write_text(sarif.render(report))

        found = loader.load_sarif_file(str(path)).get_report()

        assert [found.get_issue_count_for_severity(name) for name in ("error", "warning", "note")] == [1, 1, 0]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


class TestHtml:
    def test_it_needs_nothing_from_elsewhere_and_runs_nobodys_script(self, report: Report) -> None:
        parsed = _Page()
        parsed.feed(page.render(report))
        names = [tag for tag, _ in parsed.tags]

        assert names.count("script") == 1
        assert not {"link", "img", "iframe"} & set(names)
        assert not any("src" in attrs or any(name.startswith("on") for name in attrs) for _, attrs in parsed.tags)
        assert "alert(1)" in parsed.text
        assert "url(" not in page.render(report)

    def test_only_an_address_of_the_web_becomes_a_link(self, report: Report) -> None:
        evil = Finding(rule="WSGI-A07", verdict=Verdict.DEVIATION, issue="javascript:alert(1)")
        text_of_page = page.render(replace(report, findings=(*report.findings, evil)))
        assert 'href="https://x/1"' in text_of_page
        assert 'href="javascript' not in text_of_page
        assert "javascript:alert(1)" in text_of_page

    def test_every_rule_is_in_it_and_the_worst_is_first(self, report: Report) -> None:
        text_of_page = page.render(report)
        places = [text_of_page.index(f"<b>{name}</b>") for name in ("WSGI-A08", "WSGI-A33", "WSGI-A42", "WSGI-A04")]

        assert places == sorted(places)

    def test_a_matrix_has_a_row_a_rule_and_a_column_a_target(self, report: Report, tmp_path: Path) -> None:
        other = Report(
            kind="app", target="b", profile="http", findings=(Finding(rule="WSGI-A33", verdict=Verdict.PASS),)
        )
        paths = []
        for number, one in enumerate((report, other)):
            paths.append(tmp_path / f"{number}.json")
            paths[-1].write_text(document.render(one))
        parsed = _Page()
        parsed.feed(page.matrix_from(paths))
        rows = [attrs for tag, attrs in parsed.tags if tag == "tr" and "data-verdicts" in attrs]

        assert len(rows) == 8
        assert {"data-verdicts": "fail pass", "data-role": "app", "data-profile": "pep"} in rows
        assert {"pkg.mod:app", "b"} <= set(parsed.text.split())


class TestText:
    def test_it_says_what_was_seen_where_and_how_to_see_it_again(self, report: Report) -> None:
        shown = text.render(report)

        assert "FAIL         WSGI-A33" in shown
        assert "called twice [Compress] (GET /)" in shown
        assert "again: curl x" in shown
        assert "unexpected pass: WSGI-A04" in shown
        assert "WSGI-A23" not in shown
        assert shown.endswith(
            "1 ERROR, 1 FAIL, 1 INCONCLUSIVE, 1 WARN, 1 DEVIATION, 1 INFO, 1 SKIP, 1 PASS (profile http)\n"
        )

    def test_long_lists_are_cut_with_a_count(self) -> None:
        many = tuple(Finding(rule="WSGI-A33", verdict=Verdict.FAIL, detail=f"n{number}") for number in range(9))

        assert "... and 6 more of the kind" in text.render(Report(kind="app", target="x", profile="pep", findings=many))


def test_every_format_survives_hostile_text(report: Report, tmp_path: Path) -> None:
    for name in command.FORMATS:
        options = Namespace(
            expect=None, output=[f"{name}={tmp_path / name}"], format=name, fail_on="must", verbose=True
        )

        assert command.publish(report, options) == 1
        assert (tmp_path / name).read_text(encoding="utf-8")


def test_an_unknown_format_is_an_error(report: Report) -> None:
    with pytest.raises(ConfigError, match="no report format 'pdf'"):
        command.render(report, "pdf")
