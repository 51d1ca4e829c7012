# SPDX-License-Identifier: MIT
"""Changes to pytest's JUnit XML that separate lost, not run and unavailable tests from failures. Pure."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

from vmlab.text import printable_lines

_TYPES = {"lost": "vmlab.MachineLost", "not run": "vmlab.NotRun", "unavailable": "vmlab.Unavailable"}


def keep_apart(text: str) -> str:
    """Change each `<failure>` of a test with the property `vmlab.outcome` into an `<error>` of a type per outcome.
    Corrects the counts, and adds the properties `vmlab.failed`, `vmlab.lost`, … to each suite.

    Drops test cases that a reader would count as passed: one without a name, which pytest writes for an interrupted
    test, and an attempt that was retried. All text becomes printable: XML 1.0 and pytest allow C1 controls and
    bidirectional marks. Text that is not XML is returned unchanged.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return text
    for element in root.iter():
        element.text = printable_lines(element.text) if element.text is not None else None
        element.tail = printable_lines(element.tail) if element.tail is not None else None
        element.attrib.update({name: printable_lines(value) for name, value in element.attrib.items()})
    for suite in root.iter("testsuite"):
        none = [case for case in suite.findall("testcase") if _is_no_test(case)]
        for case in none:
            suite.remove(case)
        if none:
            suite.set("tests", str(int(suite.get("tests", "0")) - len(none)))
        counts = Counter(_of_case(case) for case in suite.iter("testcase"))
        for name, kind in (("failures", "failure"), ("errors", "error")):
            suite.set(name, str(sum(1 for _ in suite.iter(kind))))
        properties = suite.find("properties")
        if properties is None:
            properties = ElementTree.Element("properties")
            suite.insert(0, properties)
        for word in ("failed", *_TYPES):
            ElementTree.SubElement(
                properties, "property", name=f"vmlab.{word.replace(' ', '_')}", value=str(counts[word])
            )
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _is_no_test(case: ElementTree.Element) -> bool:
    return case.get("name") is None or _outcome_of(case) == "rerun"


def _outcome_of(case: ElementTree.Element) -> str | None:
    return next((item.get("value") for item in case.iter("property") if item.get("name") == "vmlab.outcome"), None)


def _of_case(case: ElementTree.Element) -> str:
    """Return a test case's outcome; changes its `<failure>` if the outcome is lost, not run or unavailable."""
    faults = [*case.findall("failure"), *case.findall("error")]
    outcome = _outcome_of(case) or ("failed" if faults else "fine")
    for fault in faults if outcome in _TYPES else ():
        fault.tag = "error"
        fault.set("type", _TYPES[outcome])
    return outcome
