# SPDX-License-Identifier: MIT
"""A test failure shows the test's lines and the fault, without the lab's frames."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import vmlab

from .inner import Inner

pytest_plugins = ["pytester"]

_LAB = "/vmlab/"
_MODULE_FAULTS = {"ModuleError", "BuildError", "GuestError", "CommandHung", "KernelTrouble"}
_FAILING = {
    "succeed": 'guest.succeed("false")',
    "fail": 'guest.fail("true")',
    "wait_until": 'guest.wait_until("false", timeout_s=1)',
    "as_root": 'guest.as_root("false")',
    "insert": "from vmlab.module.load import remove; remove(guest, 'false')",
}


@pytest.mark.parametrize("command", _FAILING.values(), ids=_FAILING)
def test_a_guests_error_leads_to_the_tests_own_line(inner: Inner, command: str) -> None:
    inner.tests(all=f"def test_fails(guest):\n    {command}\n")

    result = inner.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f">   *{command.replace('[', '[[]')}", "E   *GuestError: *"])
    assert _LAB not in _block(result)


def test_full_trace_keeps_every_frame(inner: Inner) -> None:
    inner.tests(all='def test_fails(guest):\n    guest.succeed("false")\n')

    result = inner.run("--full-trace")

    assert "/vmlab/guest/guest.py" in _block(result)


def test_full_trace_keeps_the_frames_of_a_kernels_report(inner: Inner) -> None:
    inner.tests(all='def test_splat(guest):\n    guest.succeed("splat")\n')

    result = inner.run("--full-trace")

    assert "/vmlab/plugin/watch.py" in _block(result)


def test_an_unexpected_exception_keeps_every_frame(inner: Inner) -> None:
    inner.tests(all="def test_fails(guest):\n    guest.succeed(7)\n")

    result = inner.run()

    result.assert_outcomes(failed=1)
    assert "/vmlab/guest/guest.py" in _block(result)


def test_a_panics_report_is_printed_once(inner: Inner) -> None:
    inner.tests(all='def test_panic(guest):\n    guest.succeed("panic")\n')

    result = inner.run()

    block = _block(result)
    assert block.count("] Kernel panic - not syncing: fibdrv: out of order") == 1
    assert "and then: the guest was lost during 'panic'" in block


def test_modules_that_raise_the_modules_faults_hide_their_frames() -> None:
    root = Path(vmlab.__file__).parent
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in root.rglob("*.py")}

    raising = {path for path, tree in trees.items() if _names_raised(tree) & _MODULE_FAULTS}
    hiding = {path for path, tree in trees.items() if "__tracebackhide__ = hides_frames" in map(ast.unparse, tree.body)}

    assert {path.name for path in raising} > {"guest.py", "load.py", "build.py"}
    assert raising <= hiding


def _names_raised(tree: ast.Module) -> set[str]:
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {call.id for call in calls if isinstance(call, ast.Name)}


def _block(result: pytest.RunResult) -> str:
    """The part of pytest's output from the failure to the table."""
    return result.stdout.str().partition("= FAILURES =")[2].partition("= kernels =")[0]
