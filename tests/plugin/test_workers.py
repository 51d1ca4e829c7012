# SPDX-License-Identifier: MIT
"""Real xdist workers that die, exceed the limit, or lose a test: each test has one result, or its loss is reported."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import cast

import pytest

from vmlab.plugin import accounting
from vmlab.plugin.accounting import Accounting

from .inner import CONFTEST, Inner

pytest_plugins = ["pytester"]

_OLD, _NEW = "debian12-6.1", "debian13-6.12"
_PREAMBLE = f"""
import os
import signal
import pytest

@pytest.fixture(autouse=True)
def ran(request):
    with open("ran", "a") as file:
        file.write(f"{{request.node.name}} {{os.getpid()}}\\n")

def die(target):
    if target.id == "{_OLD}":
        os.kill(os.getpid(), signal.SIGKILL)
"""
_BODIES = {"good": "pass", "kills": "die(target)", "bad": "assert 1 == 2"}
_ALONE_AND_WITH_WORKERS = pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "two workers"])


def _tests(inner: Inner, words: str) -> list[str]:
    """Write one test per word, in that order; return their names."""
    names = [f"test_{number}_{word}" for number, word in enumerate(words.split())]
    bodies = [_BODIES[word] for word in words.split()]
    functions = [f"def {name}(guest, target): {body}\n" for name, body in zip(names, bodies, strict=True)]
    inner.tests(all=_PREAMBLE + "".join(functions))
    return names


def _run(inner: Inner, *arguments: str, target: str = f"{_OLD},{_NEW}") -> pytest.RunResult:
    """Run pytest in a subprocess, which can be ended when it hangs."""
    return inner.pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "--vmlab-target", target, *arguments, timeout=120
    )


def _ran(inner: Inner) -> list[tuple[str, str]]:
    """Name and process id of every test start, repetitions included."""
    lines = (inner.pytester.path / "ran").read_text().splitlines()
    return [(name, pid) for name, _, pid in (line.partition(" ") for line in lines)]


def _outcomes(inner: Inner) -> dict[str, dict[str, str]]:
    return {
        row["target"]: {name.partition("[")[0]: test["outcome"] for name, test in row["tests"].items()}
        for row in inner.result()["targets"]
    }


@pytest.mark.parametrize(
    ("words", "workers"),
    [
        ("kills good good good", "1"),
        ("good kills good", "1"),
        ("good kills good", "2"),
        ("good good kills", "1"),
        ("good good kills", "2"),
        ("kills", "1"),
        ("good kills good kills good", "2"),
        ("kills kills", "1"),
    ],
)
def test_a_test_that_kills_its_worker_fails_once_and_takes_no_other_with_it(
    inner: Inner, words: str, workers: str
) -> None:
    names = _tests(inner, words)
    result = _run(inner, "-n", workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED

    assert _outcomes(inner) == {
        _OLD: {name: "failed" if "kills" in name else "passed" for name in names},
        _NEW: dict.fromkeys(names, "passed"),
    }
    assert Counter(name for name, _ in _ran(inner)) == {f"{name}[{id}]": 1 for name in names for id in (_OLD, _NEW)}
    result.assert_outcomes(failed=words.count("kills"), passed=2 * len(names) - words.count("kills"))
    old = inner.result()["targets"][0]["tests"].values()
    assert all("crashed while running" in test["reason"] for test in old if test["outcome"] == "failed")
    result.stdout.fnmatch_lines([f"{_OLD} * {words.count('good')} * {words.count('kills')} *"])
    assert "without a result" not in result.stdout.str()


# Delays a worker during collection: it is ready then, but the scheduler does not know its tests yet.
_SLOW_AT_FIRST = """
import time
from pathlib import Path
def await_collection():
    while not Path("collecting").exists():
        time.sleep(0.02)
worker = os.environ.get("PYTEST_XDIST_WORKER")
if worker == "{slow}":
    Path("collecting").touch()
    time.sleep(1.5)
if worker in "{waiting}":
    await_collection()
    time.sleep(0.3)
def test_first(guest): pass
def test_kills(guest, target):
    if {waits} and target.id != "{old}":
        await_collection()
    os.kill(os.getpid(), signal.SIGKILL)
def test_last(guest): pass
"""


@pytest.mark.parametrize(
    ("slow", "waiting", "waits"),
    [("gw2", "-", True), ("gw3", "gw2", False)],
    ids=["one while the other's replacement collects", "both, and one replacement collects faster"],
)
def test_two_workers_that_die_at_the_same_time_take_no_other_test_with_them(
    inner: Inner, slow: str, waiting: str, waits: bool
) -> None:
    inner.tests(all=_PREAMBLE + _SLOW_AT_FIRST.format(slow=slow, waiting=waiting, waits=waits, old=_OLD))
    result = _run(inner, "-n", "2")
    assert "INTERNALERROR" not in result.stdout.str()
    outcomes = {"test_first": "passed", "test_kills": "failed", "test_last": "passed"}
    assert _outcomes(inner) == {_OLD: outcomes, _NEW: outcomes}
    assert set(Counter(name for name, _ in _ran(inner)).values()) == {1}


def test_node_ids_stay_as_they_are(inner: Inner) -> None:
    names = _tests(inner, "good kills good")
    lines = _run(inner, "-n", "2", "-rA").outlines
    nodeids = {line.split()[1] for line in lines if line.startswith(("PASSED test_", "FAILED test_"))}
    assert nodeids == {f"test_all.py::{name}[{id}]" for name in names for id in (_OLD, _NEW)}


def test_no_more_workers_get_tests_than_have_room_for_their_guests(inner: Inner) -> None:
    _patch(inner, "vmlab.plugin.scheduling", "available_memory_mib", "lambda: 3600")
    names = _tests(inner, "good good")
    result = _run(inner, "-n", "8", target="debian12-*")
    targets = _outcomes(inner)
    assert len(targets) > 2
    result.assert_outcomes(passed=len(targets) * len(names))
    ran = _ran(inner)
    assert len({pid for _, pid in ran}) == 2
    for id in targets:
        assert len({pid for name, pid in ran if f"[{id}]" in name}) == 1


def test_workers_that_keep_dying_leave_tests_whose_loss_is_told(inner: Inner) -> None:
    _tests(inner, "kills kills good good")
    result = _run(inner, "-n", "1", "--max-worker-restart", "1", target=_OLD)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*= tests without a result =*", "2 of the coll*", "*test_2_good*", "*test_3_good*"])


@_ALONE_AND_WITH_WORKERS
def test_a_test_that_was_never_reported_is_named_and_fails_the_run(inner: Inner, workers: tuple[str, ...]) -> None:
    skip_it = "\n\nimport pytest\n\n\n@pytest.hookimpl(tryfirst=True)\ndef pytest_runtest_protocol(item):\n"
    inner.pytester.makeconftest(CONFTEST + skip_it + "    return True if '1_good' in item.name else None\n")
    _tests(inner, "good good good")
    result = _run(inner, *workers, target=_OLD)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2)
    name = f"  test_all.py::test_1_good[[]{_OLD}]"
    result.stdout.fnmatch_lines(["*= tests without a result =*", "1 of the collected tests*", name])


@_ALONE_AND_WITH_WORKERS
def test_a_run_that_stops_early_has_lost_nothing(inner: Inner, workers: tuple[str, ...]) -> None:
    _tests(inner, "bad good good good")
    result = _run(inner, *workers, "-x", target=_OLD)
    assert result.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
    assert "without a result" not in result.stdout.str()


def test_a_run_that_only_collects_has_lost_nothing(inner: Inner) -> None:
    _tests(inner, "good good")
    result = _run(inner, "--collect-only")
    assert "without a result" not in result.stdout.str()
    assert result.ret == pytest.ExitCode.OK


@_ALONE_AND_WITH_WORKERS
def test_what_a_run_or_its_worker_leaves_behind_is_told_and_fails_it(inner: Inner, workers: tuple[str, ...]) -> None:
    # With workers a worker leaves something behind: its controller must report it.
    left = "lambda _: ['QEMU 4711 of none']"
    if workers:
        left += " if 'PYTEST_XDIST_WORKER' in __import__('os').environ else []"
    _patch(inner, "vmlab.plugin.accounting", "left_by", left)
    _tests(inner, "good")
    result = _run(inner, *workers, target=_OLD)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*= left behind =*", "*vmlab reap*", "  QEMU 4711 of none"])


def _patch(inner: Inner, module: str, name: str, value: str) -> None:
    line = f"import importlib\nsetattr(importlib.import_module({module!r}), {name!r}, {value})\n"
    inner.pytester.makeconftest(CONFTEST + "\n\n" + line)


def _finish(book: Accounting, *collected: str, reported: tuple[str, ...] = (), status: int = 0) -> tuple[str, int]:
    """Output at a session's end, and the exit status."""
    for nodeid in reported:
        book.pytest_runtest_logreport(cast("pytest.TestReport", SimpleNamespace(nodeid=nodeid, failed=False)))
    plugins, option = SimpleNamespace(get_plugin=lambda _: None), SimpleNamespace(collectonly=False)
    config = SimpleNamespace(pluginmanager=plugins, option=option)
    items = [SimpleNamespace(nodeid=nodeid) for nodeid in collected]
    stops = {"shouldstop": False, "shouldfail": False}
    session = SimpleNamespace(items=items, exitstatus=status, testsfailed=0, config=config, **stops)
    book.pytest_sessionfinish(cast("pytest.Session", session), status)
    said: list[str] = []
    writer = SimpleNamespace(get_terminal_writer=lambda: None)
    terminal = SimpleNamespace(config=writer, section=said.append, write_line=lambda line, **_: said.append(line))
    book.pytest_terminal_summary(cast("pytest.TerminalReporter", terminal))
    return "\n".join(said), session.exitstatus


def test_a_full_account_says_nothing() -> None:
    assert _finish(Accounting(), "a", "b", reported=("a", "b", "b")) == ("", pytest.ExitCode.OK)


def test_a_long_list_of_losses_is_cut_short() -> None:
    said, status = _finish(Accounting(), *(f"test_{number}" for number in range(13)), reported=("test_0",))
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "12 of the collected tests" in said
    assert said.endswith("  test_10\n  and 2 more")


@pytest.mark.parametrize("status", [pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR])
def test_a_run_that_was_broken_off_keeps_its_own_status(status: pytest.ExitCode) -> None:
    assert _finish(Accounting(), "a", status=status) == ("", status)


def test_a_controller_adds_what_its_workers_left_to_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounting, "left_by", lambda _: ["directory mine"])
    book = Accounting()
    book.pytest_testnodedown(SimpleNamespace(workeroutput={"vmlab.left": ["directory theirs"]}), None)
    book.pytest_testnodedown(SimpleNamespace(), "it crashed")
    said, status = _finish(book)
    assert said.endswith("directory theirs\n  directory mine")
    assert status == pytest.ExitCode.TESTS_FAILED


_BY_PROJECT = f"[tool.vmlab]\nmodule = 'fibdrv'\ntarget = '{_OLD}'\n"


@pytest.mark.parametrize("place", ["project", "environment"])
def test_a_target_named_anywhere_goes_to_one_worker_and_has_the_header(
    inner: Inner, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "project":
        inner.pytester.makepyprojecttoml(_BY_PROJECT)
    else:
        monkeypatch.setenv("VMLAB_TARGET", _OLD)
    names = _tests(inner, "good good good good")
    for workers, most in (("auto", 1), ("2", 2)):
        result = inner.pytester.runpytest_subprocess("-p", "no:cacheprovider", "-n", workers, timeout=120)
        result.assert_outcomes(passed=len(names))
        result.stdout.fnmatch_lines(["vmlab: accelerator: *", f"{most} worker* [[]4 item*"])
        assert len({pid for _, pid in _ran(inner)}) == 1
        (inner.pytester.path / "ran").unlink()


def test_a_projects_run_without_guests_passes_and_keeps_its_workers(inner: Inner) -> None:
    inner.pytester.makepyprojecttoml(_BY_PROJECT)
    _patch(inner, "vmlab.plugin.scheduling", "available_memory_mib", "lambda: 900")
    for name in ("one", "two"):
        inner.tests(**{name: _PREAMBLE + f"def test_{name}(): pass\ndef test_{name}_more(): pass\n"})
    result = inner.pytester.runpytest_subprocess("-p", "no:cacheprovider", "-n", "2", timeout=120)
    assert result.ret == pytest.ExitCode.OK
    assert "kernels" not in result.stdout.str()
    assert len({pid for _, pid in _ran(inner)}) == 2


def test_a_project_that_names_neither_target_nor_module_is_left_alone(inner: Inner) -> None:
    inner.pytester.makepyprojecttoml("[tool.vmlab]\nmemory_mib = 512\n")
    inner.tests(sum="def test_sum(): pass\n")
    result = inner.pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "-n", "auto", "--maxprocesses", "2", timeout=120
    )
    assert result.ret == pytest.ExitCode.OK
    assert "vmlab:" not in result.stdout.str()
