# SPDX-License-Identifier: MIT
"""JUnit XML in which a lost machine is not a failure of the module."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from vmlab.report.junit import keep_apart

_XML = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="1" failures="2" skipped="0" tests="4">
<testcase name="good"/>
<testcase name="bad"><failure message="m">text</failure></testcase>
<testcase name="lost"><properties><property name="vmlab.outcome" value="lost"/></properties>
<failure message="m">text</failure></testcase>
<testcase name="unrun"><properties><property name="vmlab.outcome" value="not run"/></properties>
<error message="m">text</error></testcase>
<testcase name="lacking"><properties><property name="vmlab.outcome" value="unavailable"/></properties>
<failure message="m">text</failure></testcase>
</testsuite></testsuites>"""


def _suite(text: str) -> ElementTree.Element:
    suite = ElementTree.fromstring(keep_apart(text)).find("testsuite")
    assert suite is not None
    return suite


def test_a_lost_machine_is_an_error_of_its_own_type_and_counted() -> None:
    suite = _suite(_XML)
    assert (suite.get("failures"), suite.get("errors")) == ("1", "3")
    assert [fault.get("type") for fault in suite.iter("error")] == [
        "vmlab.MachineLost",
        "vmlab.NotRun",
        "vmlab.Unavailable",
    ]
    assert [fault.text for fault in suite.iter("error")] == ["text"] * 3
    counts = {item.get("name"): item.get("value") for item in suite.findall("properties/property")}
    assert counts == {"vmlab.failed": "1", "vmlab.lost": "1", "vmlab.not_run": "1", "vmlab.unavailable": "1"}


def test_a_run_without_losses_says_so() -> None:
    suite = _suite('<testsuites><testsuite errors="0" failures="0"><testcase name="a"/></testsuite></testsuites>')
    counts = {item.get("name"): item.get("value") for item in suite.findall("properties/property")}
    assert counts == {"vmlab.failed": "0", "vmlab.lost": "0", "vmlab.not_run": "0", "vmlab.unavailable": "0"}


@pytest.mark.parametrize("text", ["", "no XML", "<a>"])
def test_what_is_no_xml_comes_back_as_it_was(text: str) -> None:
    assert keep_apart(text) == text
