"""The matrix names a server's failure only with evidence; evidence that is wrong or out of date is told."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wsgikit.errors import ConfigError
from wsgikit.validators.server import cases
from wsgikit.validators.server.case import CASES

BENCH = Path(__file__).parents[3] / "bench"
ENTRY = {
    "rule": '"HTTP-49"',
    "cases": '["plain", "list"]',
    "version": '"1.2"',
    "kind": '"source"',
    "verdict": '"confirmed"',
    "evidence": '"loop() in web.py reads on."',
}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(BENCH))
    import matrix
    import matrix_page
    import verified

    return {"matrix": matrix, "page": matrix_page, "verified": verified}


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    folder = tmp_path / "evidence"
    folder.mkdir()
    return folder


def entry(**changes: str) -> str:
    """A [[fail]] table; a change to "" leaves the key out."""
    return "[[fail]]\n" + "".join(f"{key} = {value}\n" for key, value in {**ENTRY, **changes}.items() if value)


def report(**failing: list[str]) -> dict[str, Any]:
    """Of `a server 1.2`: these rules (HTTP_49) fail with these cases; HTTP-50 passes, HTTP-48 warns."""
    results = [
        {"rule": "HTTP-48", "verdict": "WARN", "findings": [{"verdict": "WARN", "case": "two"}]},
        {"rule": "HTTP-50", "verdict": "PASS", "findings": [{"verdict": "PASS", "case": "plain"}]},
    ]
    for key, failed in failing.items():
        findings = [{"verdict": "FAIL", "case": case} for case in failed] + [{"verdict": "PASS", "case": "other"}]
        results.append({"rule": key.replace("_", "-"), "verdict": "FAIL", "findings": findings})
    summary = {"PASS": 1, "WARN": 1, "FAIL": len(failing)}
    return {"target": "a server 1.2", "aborted": "", "results": results, "summary": summary, "facts": {}, "notes": []}


def published(bench: dict[str, ModuleType], evidence: Path, found: dict[str, Any]) -> str:
    entries = bench["verified"].load(evidence, "a server")
    judged = bench["page"].Judged(found, bench["verified"].compare(found, entries))
    return str(bench["page"].published([judged], "http"))


def test_a_failure_is_named_with_its_evidence_and_the_others_are_only_counted(
    bench: dict[str, ModuleType], evidence: Path
) -> None:
    (evidence / "a-server.toml").write_text(entry())
    page = published(bench, evidence, report(HTTP_49=["plain", "two-lines"], HTTP_15=["missing"], WSGI_S14=["x"]))
    assert "- **[HTTP-49](rules.md#http-49)** (plain, list): loop() in web.py reads on. (source)" in page
    assert "| a server 1.2 | 1 | 1 | 2 | 1 | 0 | 0 | 0 |" in page
    assert "Unverified failures: 2." in page
    assert "WARN: [HTTP-48](rules.md#http-48)." in page
    assert "HTTP-15" not in page
    assert "S14" not in page


def test_without_a_file_nothing_is_named(bench: dict[str, ModuleType], evidence: Path) -> None:
    page = published(bench, evidence, report(HTTP_49=["plain"]))
    assert "HTTP-49" not in page
    assert "| a server 1.2 | 1 | 0 | 1 | 1 | 0 | 0 | 0 |" in page


def test_a_deliberate_choice_and_another_version_are_told(bench: dict[str, ModuleType], evidence: Path) -> None:
    documented = '"The manual says so."'
    (evidence / "a-server.toml").write_text(
        entry(verdict='"deliberate"', documented=documented, version='"1.1"', kind='"both"')
    )
    page = published(bench, evidence, report(HTTP_49=["plain"]))
    assert "reads on. *Deliberate*: The manual says so. (source and bytes, with 1.1)" in page


def test_the_short_table_has_no_column_for_what_is_unverified_where_there_is_none(
    bench: dict[str, ModuleType], evidence: Path
) -> None:
    (evidence / "a-server.toml").write_text(entry())
    found = report(HTTP_49=["plain"])
    judged = bench["page"].Judged(found, bench["verified"].compare(found, bench["verified"].load(evidence, "a server")))
    assert bench["page"].summary([judged]).splitlines()[::2] == [
        "| server | passed | failed, verified | warnings |",
        "| a server 1.2 | 1 | 1 | 1 |",
    ]


def test_two_entries_behind_one_rule_count_once(bench: dict[str, ModuleType], evidence: Path) -> None:
    (evidence / "a-server.toml").write_text(entry(cases='["plain"]') + entry(cases='["list"]'))
    page = published(bench, evidence, report(HTTP_49=["plain", "list"]))
    assert page.count("**[HTTP-49]") == 2
    assert "| a server 1.2 | 1 | 1 | 0 |" in page


def test_what_no_longer_fails_is_stale_and_new_cases_are_unseen(bench: dict[str, ModuleType], evidence: Path) -> None:
    text = entry() + entry(rule='"HTTP-50"') + entry(rule='"HTTP-15"')
    (evidence / "a-server.toml").write_text(text)
    entries = bench["verified"].load(evidence, "a server")
    compared = bench["verified"].compare(report(HTTP_49=["list", "capitals"]), entries)
    assert [one.rule for one in compared.confirmed] == ["HTTP-49"]
    assert {one.rule: verdict for one, verdict in compared.stale.items()} == {
        "HTTP-50": "PASS",
        "HTTP-15": "not judged",
    }
    assert compared.unseen == {"HTTP-49": ("capitals",)}
    assert compared.unverified == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (entry(rule='"HTTP-94"'), "a-server.toml: fail #1: no rule named 'HTTP-94'"),
        (entry() + entry(rule='"HTTP-50"', version=""), "a-server.toml: fail #2: version is missing"),
        (entry(kind='"sources"'), "fail #1: kind is 'sources'; it can be source or trace or both; did you mean"),
        (entry(verdict='"sure"'), "verdict is 'sure'; it can be confirmed or deliberate"),
        (entry(evidence='" "'), "fail #1: evidence has to be a string that says something"),
        (entry(cases="[]"), "fail #1: cases has to be a list of names"),
        (entry(cases='"plain"'), "fail #1: cases has to be a list of names"),
        (entry() + "case = 1\n", "fail #1: unknown key 'case'; did you mean 'cases'?"),
        (entry(verdict='"deliberate"'), "fail #1: `documented` goes with verdict \"deliberate\""),
        (entry(documented='"here"'), "fail #1: `documented` goes with verdict \"deliberate\""),
        (entry() + entry(cases='["list"]'), "fail #2: HTTP-49 list stands in fail #1 already"),
        (entry().replace("[[fail]]", "[fail]"), "only [[fail]] tables are read; found [fail]"),
        (entry().replace("[[fail]]", "[[failed]]"), "only [[fail]] tables are read; found failed"),
        ("[[fail", "a-server.toml: "),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_told_with_its_place(
    bench: dict[str, ModuleType], evidence: Path, text: str, message: str
) -> None:
    (evidence / "a-server.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        bench["verified"].load(evidence, "a server")
    assert message in str(caught.value)


def test_a_file_of_no_server_is_found(bench: dict[str, ModuleType], evidence: Path) -> None:
    (evidence / "a-server.toml").touch()
    (evidence / "another.toml").touch()
    assert bench["verified"].strangers(evidence, ["a server", "b"]) == ["another.toml"]


def test_the_evidence_that_stands_here_can_be_read(bench: dict[str, ModuleType]) -> None:
    matrix, verified = bench["matrix"], bench["verified"]
    assert verified.strangers(matrix.EVIDENCE, [peer.name for peer in matrix.PEERS]) == []
    entries = [entry for peer in matrix.PEERS for entry in verified.load(matrix.EVIDENCE, peer.name)]
    cases.load()
    named = {f"{entry.rule} {case}" for entry in entries for case in entry.cases}
    assert named <= {case.id for case in CASES}
    assert "HTTP-49 list" in named


def test_the_table_goes_between_the_marks_of_a_page(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    page, readme = bench["page"], tmp_path / "README.md"
    readme.write_text(f"before\n{page.START}\nold\n{page.END}\nafter\n")
    assert page.put_into(readme, "| new |")
    assert readme.read_text() == f"before\n{page.START}\n\n| new |\n\n{page.END}\nafter\n"
    readme.write_text("no marks\n")
    assert not page.put_into(readme, "| new |")
    assert readme.read_text() == "no marks\n"


def test_publishing_reports_that_are_there_names_what_is_verified_and_tells_what_is_left(
    bench: dict[str, ModuleType],
    evidence: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    matrix = bench["matrix"]
    peer = matrix.Peer(name="a server", command=("none",), module="json")
    for name, value in {
        "PEERS": (peer,), "EVIDENCE": evidence, "PAGE": tmp_path / "page.md", "README": tmp_path / "README.md"
    }.items():  # fmt: skip
        monkeypatch.setattr(matrix, name, value)
    (tmp_path / "README.md").write_text(f"{bench['page'].START}\n{bench['page'].END}\n")
    (evidence / "a-server.toml").write_text(entry() + entry(rule='"HTTP-50"'))
    found = report(HTTP_49=["plain"], HTTP_15=["missing"]) | {
        "format": "wsgikit-report",
        "version": 1,
        "kind": "server",
    }
    found |= {"profile": "http", "unexpected_passes": []}
    (tmp_path / "a-server.json").write_text(json.dumps(found))

    assert matrix.main(["--keep", "--publish", "--output", str(tmp_path)]) == 0

    assert "loop() in web.py" in (tmp_path / "page.md").read_text()
    table = (tmp_path / "README.md").read_text()
    assert "| server | passed | failed, verified | unverified | warnings |" in table
    assert "| a server 1.2 | 1 | 1 | 1 | 1 |" in table
    told = capsys.readouterr().err
    assert "unverified HTTP-15: missing" in told
    assert "stale: HTTP-50 (plain, list), seen with 1.2, is PASS now" in told


def test_wrong_evidence_stops_a_run_before_it_begins(
    bench: dict[str, ModuleType], evidence: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench["matrix"], "EVIDENCE", evidence)
    (evidence / "waitress.toml").write_text("[[fail]]\n")
    assert bench["matrix"].main(["--servers", "waitress"]) == 2
    assert "waitress.toml: fail #1: rule is missing" in capsys.readouterr().err
