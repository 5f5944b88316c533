"""JUnit XML: a test case for each rule. A broken must is a failure; a broken should passes and says so on its output.

FAIL is `failure`, ERROR is `error`, SKIP and INCONCLUSIVE are `skipped`; WARN, INFO and DEVIATION pass with their
findings in `system-out`. The same report gives the same bytes: there are no times in it.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from wsgikit.validators.report.model import Report, Row, Verdict
from wsgikit.validators.report.text import finding_lines, summary

_ELEMENT = {
    Verdict.FAIL: "failure",
    Verdict.ERROR: "error",
    Verdict.SKIP: "skipped",
    Verdict.INCONCLUSIVE: "skipped",
}
# XML 1.0 2.2: what no escape can carry.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: Report) -> str:
    """The report as one test suite."""
    rows = report.rows()
    suite = ElementTree.Element("testsuite", name=f"wsgikit check {report.kind}: {_clean(report.target)}")
    counts = {"tests": len(rows), "failures": 0, "errors": 0, "skipped": 0}
    for row in rows:
        _case(suite, report, row)
        kind = {"failure": "failures", "error": "errors", "skipped": "skipped"}.get(_ELEMENT.get(row.verdict, ""))
        if kind:
            counts[kind] += 1
    if report.aborted:
        case = ElementTree.SubElement(suite, "testcase", classname=f"wsgikit.{report.kind}", name="the run")
        ElementTree.SubElement(case, "error", message=_clean(report.aborted))
        counts["tests"] += 1
        counts["errors"] += 1
    _properties(suite, report)
    suite.attrib |= {name: str(count) for name, count in counts.items()}
    suites = ElementTree.Element("testsuites", suite.attrib)
    suites.append(suite)
    ElementTree.indent(suites)
    text = ElementTree.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _case(suite: ElementTree.Element, report: Report, row: Row) -> None:
    name = f"{row.rule.id} {row.rule.text}"
    case = ElementTree.SubElement(suite, "testcase", classname=f"wsgikit.{report.kind}", name=_clean(name))
    text = _clean("\n".join(line.strip() for finding in row.findings for line, _ in finding_lines(finding)))
    element = _ELEMENT.get(row.verdict)
    if element is None:
        if text:
            ElementTree.SubElement(case, "system-out").text = f"{row.verdict}\n{text}"
        return
    first = next((one for one in row.findings if one.verdict is row.verdict), row.findings[0])
    message = first.detail or first.reason or str(row.verdict)
    found = ElementTree.SubElement(case, element, message=_clean(message))
    if element != "skipped":
        found.set("type", str(row.verdict))
        found.text = text


def _properties(suite: ElementTree.Element, report: Report) -> None:
    facts = {"profile": report.profile, "summary": summary(report), **report.facts}
    properties = ElementTree.Element("properties")
    for name, value in facts.items():
        ElementTree.SubElement(properties, "property", name=_clean(name), value=_clean(value))
    suite.insert(0, properties)


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
