# SPDX-License-Identifier: MIT
"""Results of experiments, stored as data: the pages in docs/explain/ are built from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from vmlab.decode import unstructure

PROPERTY = "vmlab.finding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One result of an experiment on one kernel."""

    key: str
    """`question.what`, such as `load.system-call`; the same on every kernel."""
    command: str
    """Command as typed, ready to copy."""
    output: str
    """Unmodified output of the command."""
    facts: Mapping[str, str | int | bool]
    """Values that the pages' statements rest on."""


Note = Callable[..., None]
"""Call as `finding("load.system-call", command=…, output=…, fact=…)`."""


def noting(item: pytest.Item) -> Note:
    """Return the function with which a test stores a finding; it travels with the test's report, also from a worker."""

    def note(key: str, *, command: str, output: str, **facts: str | int | bool) -> None:
        found = Finding(key=key, command=command, output=output, facts=facts)
        item.user_properties.append((PROPERTY, json.dumps(unstructure(found))))

    return note


def without_findings(items: Iterable[pytest.Item], directory: Path) -> list[pytest.Item]:
    """Tests below a directory that do not use the fixture `finding`."""
    return [
        item for item in items if directory in item.path.parents and "finding" not in getattr(item, "fixturenames", ())
    ]


class FindingsFile:
    """Collects every report of this run's experiments, and writes the file at the end of the run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tests: dict[tuple[str, str], dict[str, object]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        properties = dict(report.user_properties)
        key = (str(properties.get("vmlab.target", "")), report.nodeid)
        known = self._tests.setdefault(
            key, {"target": key[0], "test": report.nodeid, "outcome": "passed", "findings": []}
        )
        if report.outcome != "passed" and known["outcome"] == "passed":
            known["outcome"] = properties.get("vmlab.outcome", report.outcome)
            known["reason"] = properties.get("vmlab.reason") or _reason(report)
        if report.when == "teardown":
            known["findings"] = [json.loads(str(value)) for name, value in report.user_properties if name == PROPERTY]

    def pytest_sessionfinish(self) -> None:
        rows = [row for row in self._tests.values() if row["target"]]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")


def _reason(report: pytest.TestReport) -> str:
    """A one-line reason, without the file position that pytest prepends to a skip's reason."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else report.longreprtext
    return text.strip().partition("\n")[0]
