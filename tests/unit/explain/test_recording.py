# SPDX-License-Identifier: MIT
"""A run's files become the stored data: stable, without this host's paths, completely or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builder.build import build
from builder.kernels import read_kernels, stored_text
from builder.recording import recorded
from vmlab.errors import UsageError

from .samples import KEY, RELEASES, TEST, write_question

_TARGETS = ("debian11-5.10", "debian12-6.1")


def _row(target: str, **changes: object) -> dict[str, Any]:
    found = {
        "key": KEY,
        "command": "strace insmod",
        "output": "[ 1.234567] finit_module(3) = 0xffffffffc0a1b000\n",
        "facts": {"call": "finit_module", "count": 1, "is_direct": True},
    }
    return {"target": target, "test": f"{TEST}[{target}]", "outcome": "passed", "findings": [found]} | changes


def _run(directory: Path, *rows: dict[str, Any]) -> tuple[Path, Path]:
    findings, results = directory / "findings.json", directory / "results.json"
    findings.write_text(json.dumps(rows))
    known = {"kernel_package": "linux-image", "kernel_compiler": "gcc-12", "qemu": "7.2", "accelerator": "tcg"}
    facts = [{"target": name, "facts": {"provenance": known | {"release": RELEASES[name]}}} for name in _TARGETS]
    results.write_text(json.dumps({"targets": facts}))
    return findings, results


def _pages(directory: Path) -> Path:
    home = directory / "checkout" / "docs" / "explain"
    home.mkdir(parents=True)
    write_question(home)
    return home


def _files(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())


def test_a_run_is_kept_without_what_changes_every_time(tmp_path: Path) -> None:
    (kernel,) = recorded(*_run(tmp_path, _row("debian12-6.1")), host_paths=())
    (row,) = kernel.experiments
    assert (kernel.release, kernel.machine, row.test) == (RELEASES["debian12-6.1"], "QEMU 7.2, tcg", TEST)
    assert row.findings[0].output == "[⟨t⟩] finit_module(3) = ⟨a1⟩\n"
    assert row.findings[0].facts == {"call": "finit_module", "count": 1, "is_direct": True}


def test_a_command_is_kept_as_it_can_be_typed_on_any_kernel(tmp_path: Path) -> None:
    row = _row("debian12-6.1")
    row["findings"][0]["command"] = f"ls /lib/modules/{RELEASES['debian12-6.1']}/build"
    (kernel,) = recorded(*_run(tmp_path, row), host_paths=())
    assert kernel.experiments[0].findings[0].command == "ls /lib/modules/$(uname -r)/build"


def test_facts_that_no_statement_can_rest_on_are_not_kept(tmp_path: Path) -> None:
    row = _row("debian12-6.1")
    row["findings"][0] |= {"output": "613\n", "facts": {"wrapper": 613, "task-clock": "65.21", "count": 3}}
    (kernel,) = recorded(*_run(tmp_path, row), host_paths=())
    (found,) = kernel.experiments[0].findings
    assert (found.output, found.facts) == ("⟨p1⟩\n", {"count": 3})


@pytest.mark.parametrize(
    ("test", "kept"),
    [
        ("t.py::f[debian12-6.1]", "t.py::f"),
        ("t.py::f[debian12-6.1-level=1]", "t.py::f[level=1]"),
        ("t.py::f[level=1-debian12-6.1]", "t.py::f[level=1]"),
        ("t.py::f[debian12-6.1-rt]", "t.py::f[rt]"),
        ("t.py::f", "t.py::f"),
    ],
)
def test_a_test_is_named_without_its_target(tmp_path: Path, test: str, kept: str) -> None:
    (kernel,) = recorded(*_run(tmp_path, _row("debian12-6.1", test=test)), host_paths=())
    assert kernel.experiments[0].test == kept


def test_the_data_are_the_same_bytes_when_read_and_written_again(tmp_path: Path) -> None:
    home = _pages(tmp_path)
    build(home, findings=_run(tmp_path, _row("debian12-6.1"))[0], results=tmp_path / "results.json")
    (kernel,) = read_kernels(home / "data")
    assert stored_text(kernel) == (home / "data" / "debian12-6.1.json").read_text(encoding="utf-8")


def test_a_run_of_one_kernel_leaves_the_data_of_the_others(tmp_path: Path) -> None:
    home = _pages(tmp_path)
    for target in _TARGETS:
        findings, results = _run(tmp_path, _row(target))
        assert build(home, findings=findings, results=results) == ()
    assert [kernel.target for kernel in read_kernels(home / "data")] == [*_TARGETS]
    assert _files(home) == [
        "data/debian11-5.10.json", "data/debian12-6.1.json", "en.html", "load.toml", "zh-Hant-TW.html"
    ]  # fmt: skip


@pytest.mark.parametrize("outcome", ["failed", "error", "lost", "not run"])
def test_an_experiment_that_fails_on_one_kernel_is_told_and_the_pages_are_made(tmp_path: Path, outcome: str) -> None:
    home = _pages(tmp_path)
    rows = [
        _row("debian11-5.10"),
        _row("debian12-6.1", outcome=outcome, reason="the kernel has no ftrace", findings=[]),
    ]
    findings, results = _run(tmp_path, *rows)
    (fault,) = build(home, findings=findings, results=results)
    assert "on debian12-6.1" in fault
    assert "the kernel has no ftrace" in fault
    for name in ("en.html", "zh-Hant-TW.html"):
        page = (home / name).read_text(encoding="utf-8")
        assert "the kernel has no ftrace" in page
        assert "finit_module(3)" in page


def test_a_skip_is_shown_with_its_fact_and_is_no_fault(tmp_path: Path) -> None:
    home = _pages(tmp_path)
    rows = [
        _row("debian11-5.10"),
        _row("debian12-6.1", outcome="skipped", reason="lockdown is not built in", findings=[]),
    ]
    findings, results = _run(tmp_path, *rows)
    assert build(home, findings=findings, results=results) == ()
    assert "lockdown is not built in" in (home / "en.html").read_text(encoding="utf-8")


def test_a_failed_experiment_that_is_not_on_the_page_is_a_fault_too(tmp_path: Path) -> None:
    home = _pages(tmp_path)
    rows = [_row("debian12-6.1"), _row("debian12-6.1", test="t.py::other", outcome="failed", reason="x", findings=[])]
    findings, results = _run(tmp_path, *rows)
    assert build(home, findings=findings, results=results) == ("t.py::other on debian12-6.1: failed: x",)


def test_data_that_contradict_a_statement_are_not_stored(tmp_path: Path) -> None:
    home = _pages(tmp_path)
    row = _row("debian12-6.1")
    row["findings"][0]["facts"]["call"] = "init_module"
    findings, results = _run(tmp_path, row)
    with pytest.raises(UsageError, match="1 thing does not stand"):
        build(home, findings=findings, results=results)
    assert _files(home) == ["load.toml"]


@pytest.mark.parametrize("place", ["output", "command", "fact"])
def test_a_path_of_this_host_is_refused(tmp_path: Path, place: str) -> None:
    row = _row("debian12-6.1")
    if place == "fact":
        row["findings"][0]["facts"]["call"] = f"{tmp_path}"
    else:
        row["findings"][0][place] = f"cat {tmp_path}/x"
    with pytest.raises(UsageError, match="shows a path of this host"):
        recorded(*_run(tmp_path, row), host_paths=(str(tmp_path),))


def test_a_reason_names_files_as_they_lie_in_the_checkout(tmp_path: Path) -> None:
    row = _row("debian12-6.1", outcome="failed", reason=f"file {tmp_path}/tests/x.py, line 1", findings=[])
    (kernel,) = recorded(*_run(tmp_path, row), host_paths=(str(tmp_path),))
    assert kernel.experiments[0].reason == "file tests/x.py, line 1"


def test_a_key_that_two_experiments_keep_is_refused(tmp_path: Path) -> None:
    home = _pages(tmp_path)
    findings, results = _run(tmp_path, _row("debian12-6.1"), _row("debian12-6.1", test="t.py::other"))
    with pytest.raises(UsageError, match=r"'load\.call' is kept twice"):
        build(home, findings=findings, results=results)


def test_a_kernel_that_never_came_up_is_on_the_page(tmp_path: Path) -> None:
    home = _pages(tmp_path)
    findings, results = _run(tmp_path, _row("debian11-5.10"), _row("debian12-6.1", outcome="error", findings=[]))
    run = json.loads(results.read_text())
    run["targets"][1]["facts"] = None
    results.write_text(json.dumps(run))
    assert build(home, findings=findings, results=results)
    assert "never came up" in (home / "en.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("findings", "word"),
    [("[]", "holds no experiment"), ("{", "not valid JSON"), ('[{"target": "debian12-6.1"}]', "are not of one run")],
)
def test_files_that_are_no_runs_are_refused(tmp_path: Path, findings: str, word: str) -> None:
    paths = _run(tmp_path)
    paths[0].write_text(findings)
    with pytest.raises(UsageError, match=word):
        recorded(*paths, host_paths=())
    paths[0].unlink()
    with pytest.raises(UsageError, match="no such file"):
        recorded(*paths, host_paths=())
