# SPDX-License-Identifier: MIT
"""The composite action, its steps run as they stand: outputs, a failing status, annotations, and hard inputs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from vmlab.report.files import read_result

from .inner import CONFTEST
from .runner import ROOT, Runner

_TARGETS = "debian12-6.1,debian13-6.12"
_TESTS = """
def test_good(guest): pass
"""
_RED = """
def test_good(guest): pass

def test_bad(guest):
    print("::add-mask::everything")
    print("::error::a guest said so")
    assert 1 == 2
"""


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A runner whose workspace has a module, and whose lab has no machines."""
    made = Runner(tmp_path / "runner")
    (made.workspace / "src").mkdir()
    (made.workspace / "src" / "Kbuild").write_text("obj-m := src.o\n")
    (made.workspace / "src" / "src.c").write_text("\n")
    (made.workspace / "tests").mkdir()
    (made.workspace / "tests" / "conftest.py").write_text(CONFTEST)
    (made.workspace / "tests" / "test_all.py").write_text(_TESTS)
    made.environment["PYTHONPATH"] = str(ROOT)
    return made


@pytest.fixture
def python(tmp_path: Path) -> str:
    """This interpreter, which makes no images."""
    wrapper = tmp_path / "python"
    wrapper.write_text(
        f'#!/bin/sh\ncase "$*" in "-m vmlab.cli images build"*) echo "$@" >"{tmp_path}/images"; exit 0 ;; esac\n'
        f'exec "{sys.executable}" "$@"\n'
    )
    wrapper.chmod(0o755)
    return str(wrapper)


def _run(runner: Runner, interpreter: str, /, **inputs: str) -> str:
    defaults = {"module": "src", "targets": _TARGETS, "tests": "tests", "accel": "tcg", "python": interpreter}
    return runner.run(ROOT / "action.yml", until="", **(defaults | inputs))


def test_a_green_run_has_its_outputs_its_summary_and_its_artifact(runner: Runner, python: str) -> None:
    assert _run(runner, python) == "success", runner.logs
    told = {name: runner.result(name) for name in ("status", "accelerator", "passed", "failed", "lost", "skipped")}
    assert told == {
        "status": "0",
        "accelerator": "tcg",
        "passed": "2",
        "failed": "0",
        "lost": "0",
        "skipped": "0",
    }
    result = read_result(Path(runner.result("results")))
    assert [row.target for row in result.targets] == _TARGETS.split(",")
    assert result.module == "src"
    assert result.source
    assert Path(runner.result("junit")).is_file()
    assert "### vmlab: src" in runner.summary
    assert "debian13-6.12" in runner.summary.replace("\\", "")
    restored, saved, uploaded = runner.used
    assert restored["key"] == saved["key"]
    assert restored["key"].startswith(restored["restore-keys"])
    assert uploaded["name"] == "vmlab-debian12-6.1-debian13-6.12"
    assert Path(uploaded["path"], "results.json").is_file()
    assert "--vmlab-target=debian12-6.1,debian13-6.12" in (Path(python).parent / "images").read_text()


def test_a_red_run_fails_and_is_reported_all_the_same(runner: Runner, python: str) -> None:
    (runner.workspace / "tests" / "test_all.py").write_text(_RED)
    assert _run(runner, python, targets="debian12-6.1", cache="false") == "failure"
    assert (runner.outcomes["run"], runner.outcomes["report"]) == ("failure", "success")
    assert (runner.result("status"), runner.result("passed"), runner.result("failed")) == ("1", "1", "1")
    assert "assert 1 == 2" in runner.summary
    assert len(runner.used) == 1
    (error,) = [line for line in runner.logs["report"].splitlines() if line.startswith("::error ")]
    assert "assert 1 == 2" in error


def test_what_a_guest_prints_is_no_command_to_the_runner(runner: Runner, python: str) -> None:
    (runner.workspace / "tests" / "test_all.py").write_text(_RED)
    _run(runner, python, targets="debian12-6.1")
    log = runner.logs["run"]
    match = re.match(r"::stop-commands::([0-9a-f-]{36})\n", log)
    assert match is not None
    stopped, _, after = log.partition(f"\n::{match[1]}::\n")
    assert "::add-mask::everything" in stopped
    assert after == ""
    assert not any(line.startswith(("::add-mask", "::error::")) for line in runner.logs["report"].splitlines())


@pytest.mark.parametrize(
    ("inputs", "step", "words"),
    [
        ({"timeout_minutes": "soon"}, "prepare", "timeout-minutes: a whole number of minutes is meant"),
        ({"timeout_minutes": "0"}, "prepare", "timeout-minutes: a whole number of minutes is meant"),
        ({"python": "/bin/false"}, "prepare", "python: this interpreter has no vmlab"),
        ({"targets": "debian12-6.2"}, "prepare", "unknown target 'debian12-6.2' (did you mean"),
        ({"module": "nowhere"}, "run", "no such module directory"),
        ({"accel": "kmv"}, "run", "'kmv' is no auto|kvm|tcg (did you mean 'kvm'?)"),
        ({"shard": "5/3"}, "run", "'5/3' is no I/N (of 3 shards the first is 1 and the last 3)"),
        ({"durations": "nowhere.json", "shard": "1/2"}, "run", "cannot read"),
        ({"tests": "nowhere"}, "run", "tests: there is no such file or directory: nowhere"),
    ],
)
def test_a_wrong_input_fails_with_one_line(
    runner: Runner, python: str, inputs: dict[str, str], step: str, words: str
) -> None:
    assert _run(runner, python, **inputs) == "failure"
    assert runner.outcomes[step] == "failure"
    lines = [line for line in runner.logs[step].splitlines() if words in line]
    assert len(lines) == 1, runner.logs[step]
    assert "Traceback" not in runner.logs[step]
    if step == "run":
        assert "::error title=vmlab::the run left no results" in runner.logs["report"]
    else:
        assert runner.outcomes["run"] == "skipped"
        assert runner.outcomes["report"] == "skipped"


_EVIL = "x';touch pwned;$(touch pwned)`touch pwned`\"; touch pwned #"


@pytest.mark.parametrize(
    "names",
    [("timeout_minutes",), ("python",), ("targets",), ("tests",), ("store", "artifact"), ("module", "accel", "shard")],
)
def test_no_input_is_ever_shell(runner: Runner, python: str, names: tuple[str, ...]) -> None:
    _run(runner, python, **dict.fromkeys(names, _EVIL))
    assert not list(runner.home.rglob("pwned"))
    if "artifact" in names:
        assert re.fullmatch(r"[A-Za-z0-9._+-]+", runner.used[-1]["name"])


@pytest.mark.parametrize("name", ["tests", "timeout_minutes"])
def test_no_input_becomes_a_command_to_the_runner(runner: Runner, python: str, name: str) -> None:
    _run(runner, python, **{name: "x\n::add-mask::everything\r\n::set-output name=a::b"})
    for log in runner.logs.values():
        assert not [line for line in log.splitlines() if line.startswith(("::add-mask", "::set-output"))]


def test_without_tests_the_lab_has_some_for_any_module(runner: Runner, python: str) -> None:
    # Their guests would be real ones: here they are only looked up.
    runner.environment["PYTEST_ADDOPTS"] = "--collect-only -q"
    _run(runner, python, tests="", targets="debian12-6.1")
    assert "test_builds_and_loads[debian12-6.1]" in runner.logs["run"]
    assert "test_unloads_and_loads_again[debian12-6.1]" in runner.logs["run"]


def test_a_shard_is_named_in_its_artifact(runner: Runner, python: str) -> None:
    runner.run(until="prepare", module="src", targets=_TARGETS, accel="tcg", python=python, shard="2/2")
    assert runner.outputs["prepare"]["artifact"] == "vmlab-debian12-6.1-debian13-6.12-2-2"


def test_the_cache_goes_by_what_images_are_made_from(runner: Runner, python: str) -> None:
    keys = set()
    for targets, architecture in (("debian12-6.1", "X64"), ("debian13-6.12", "X64"), ("debian12-6.1", "ARM64")):
        runner.environment["RUNNER_ARCH"] = architecture
        runner.used.clear()
        runner.run(until="cache", module="src", targets=targets, accel="tcg", python=python)
        keys.add(runner.used[0]["key"])
    assert len(keys) == 3
