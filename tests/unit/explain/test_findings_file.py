# SPDX-License-Identifier: MIT
"""The file that `pytest --findings FILE` writes: each experiment's outcome and reason, without this host's paths."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from kernel.finding import PROPERTY, FindingsFile, without_findings

_FOUND = {"key": "a.b", "command": "ls", "output": "x\n", "facts": {"n": 1}}


def _report(
    when: Literal["setup", "call", "teardown"],
    outcome: Literal["passed", "failed", "skipped"] = "passed",
    *,
    longrepr: Any = None,
    **properties: object,
) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid="tests/kernel/test_x.py::test_x[debian12-6.1]",
        location=("tests/kernel/test_x.py", 1, "test_x"),
        keywords={},
        outcome=outcome,
        longrepr=longrepr,
        when=when,
        user_properties=[(name.replace("__", "."), value) for name, value in properties.items()],
    )


def _written(tmp_path: Path, *reports: pytest.TestReport) -> list[dict[str, Any]]:
    file = FindingsFile(tmp_path / "new" / "findings.json")
    for report in reports:
        file.pytest_runtest_logreport(report)
    file.pytest_sessionfinish()
    rows: list[dict[str, Any]] = json.loads((tmp_path / "new" / "findings.json").read_text(encoding="utf-8"))
    return rows


def test_what_an_experiment_kept_is_written_once(tmp_path: Path) -> None:
    target: dict[str, Any] = {"vmlab__target": "debian12-6.1"}
    kept: dict[str, Any] = {PROPERTY.replace(".", "__"): json.dumps(_FOUND)}
    (row,) = _written(
        tmp_path, _report("setup", **target), _report("call", **target, **kept), _report("teardown", **target, **kept)
    )
    assert (row["target"], row["outcome"], row["findings"]) == ("debian12-6.1", "passed", [_FOUND])


def test_a_skip_is_written_with_its_fact_alone(tmp_path: Path) -> None:
    place = ("/somewhere/tests/kernel/test_x.py", 12, "Skipped: this kernel has no lockdown")
    (row,) = _written(tmp_path, _report("call", "skipped", longrepr=place, vmlab__target="debian12-6.1"))
    assert (row["outcome"], row["reason"]) == ("skipped", "this kernel has no lockdown")


def test_a_lost_machine_is_no_failure_and_its_reason_is_the_labs(tmp_path: Path) -> None:
    properties: dict[str, Any] = {
        "vmlab__target": "debian12-6.1",
        "vmlab__outcome": "lost",
        "vmlab__reason": "QEMU ended",
    }
    (row,) = _written(tmp_path, _report("call", "failed", longrepr="E   long\nand longer", **properties))
    assert (row["outcome"], row["reason"]) == ("lost", "QEMU ended")


def test_the_first_fault_is_kept_and_one_line_of_it(tmp_path: Path) -> None:
    target: dict[str, Any] = {"vmlab__target": "debian12-6.1"}
    first = _report("call", "failed", longrepr="AssertionError: 1 != 2\nmore", **target)
    (row,) = _written(tmp_path, first, _report("teardown", "failed", longrepr="later", **target))
    assert (row["outcome"], row["reason"]) == ("failed", "AssertionError: 1 != 2")


def test_a_test_without_a_target_is_no_experiment(tmp_path: Path) -> None:
    assert _written(tmp_path, _report("call")) == []


def test_what_keeps_nothing_for_the_pages_is_told_from_what_does_and_from_what_is_elsewhere() -> None:
    def item(path: str, *fixtures: str) -> Any:
        return SimpleNamespace(path=Path(path), fixturenames=list(fixtures))

    kept, silent = item("/x/kernel/test_a.py", "bench", "finding"), item("/x/kernel/test_a.py", "bench")
    elsewhere = item("/x/fibdrv/test_b.py", "guest")
    assert without_findings([kept, silent, elsewhere], Path("/x/kernel")) == [silent]
