"""A report as JUnit XML, for CI: a test case for each finding that was looked for."""

from __future__ import annotations

from xml.etree import ElementTree

from faultinject.report.fail_on import FailOn
from faultinject.report.finding import Finding, not_followed
from faultinject.report.findings import NOTHING_TESTED
from faultinject.report.judge import Report, Verdict
from faultinject.report.run_facts import run_in_words

SUITE = "faultinject"


def junit_report(report: Report, fail_on: FailOn) -> str:
    """Return the report as XML text.

    A finding that makes the run fail is a failure. `nothing-tested` is an error whatever makes the
    run fail, since such a run must not look as if it had passed. Other findings are told in
    ``system-out``, and so are, of the whole, requests that could not be followed. What could not be
    judged is skipped, with the reason.
    """
    suite = ElementTree.Element("testsuite", name=SUITE, time=f"{report.facts.now:.3f}")
    if words := run_in_words(report.facts):
        properties = ElementTree.SubElement(suite, "properties")
        for word in words:
            ElementTree.SubElement(properties, "property", name="run", value=word)
    cases = [_case(verdict, fail_on) for verdict in report.verdicts]
    suite.extend(cases)
    for line in not_followed(report.facts.unseen):
        ElementTree.SubElement(suite, "system-out").text = line
    counts = {"tests": len(cases)} | {
        name + "s": sum(case.find(name) is not None for case in cases)
        for name in ("failure", "error")
    }
    counts["skipped"] = sum(case.find("skipped") is not None for case in cases)
    root = ElementTree.Element("testsuites")
    for name, number in counts.items():
        suite.set(name, str(number))
        root.set(name, str(number))
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, "unicode", xml_declaration=True) + "\n"


def _case(verdict: Verdict, fail_on: FailOn) -> ElementTree.Element:
    known = verdict.known
    case = ElementTree.Element("testcase", classname=SUITE, name=known.id)
    untested = known.id == NOTHING_TESTED.id
    failing = [each for each in verdict.findings if untested or fail_on.fails(each)]
    if failing:
        kind = "error" if untested else "failure"
        problem = ElementTree.SubElement(
            case, kind, type=failing[0].severity, message=failing[0].evidence
        )
        problem.text = _text(verdict)
    elif verdict.findings:
        ElementTree.SubElement(case, "system-out").text = _text(verdict)
    elif verdict.word == "no verdict":
        ElementTree.SubElement(case, "skipped", message=verdict.why_not)
    return case


def _text(verdict: Verdict) -> str:
    lines = [_line(each) for each in verdict.findings]
    if (more := verdict.found - len(verdict.findings)) > 0:
        lines.append(f"and {more} more")
    return "\n".join([*lines, verdict.known.advice])


def _line(finding: Finding) -> str:
    timeline = f"  {finding.timeline}" if finding.timeline else ""
    return f"{finding.severity}: {finding.in_words}{timeline}"
