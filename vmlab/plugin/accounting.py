# SPDX-License-Identifier: MIT
"""Every test that was collected is reported, or its loss is: a test that vanished is no test that passed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest

from vmlab.machine.registry import left_by
from vmlab.plugin.account import account_on
from vmlab.plugin.unfinished import collected
from vmlab.report.model import UNKNOWN, Outcome, unknown_status
from vmlab.system.process import ProcessIdentity

_SHOWN = 10
_LEFT = "vmlab.left"


class Accounting:
    """Counts collected tests against reported ones, and looks at the end for machines that were not given back.

    With xdist each worker looks for its own machines, and the controller, which knows all tests, counts.
    """

    def __init__(self, expired: Sequence[str] = ()) -> None:
        """`expired` are entries of the allow list that are out of date: the run fails over them."""
        self._expired = expired
        self._outcomes: list[Outcome] = []
        """Of each report that failed."""
        self._reported: set[str] = set()
        self._lost: list[str] = []
        self._left: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reported.add(report.nodeid)
        if report.failed:
            self._outcomes.append(account_on(report).outcome or Outcome.FAILED)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """A worker of xdist ended: take over what it found."""
        del error
        self._left += getattr(node, "workeroutput", {}).get(_LEFT, [])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._left += left_by(ProcessIdentity.of(os.getpid()))
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[_LEFT] = self._left
            return
        if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and not _was_stopped(session):
            self._lost = [nodeid for nodeid in collected(session) if nodeid not in self._reported]
        # What failed to be collected was no report of a test, and counts.
        others = [Outcome.FAILED] * (session.testsfailed - len(self._outcomes))
        session.exitstatus = exit_status(
            session.exitstatus, [*self._outcomes, *others], is_faulty=bool(self._lost or self._left or self._expired)
        )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._lost:
            terminalreporter.section("tests without a result")
            terminalreporter.write_line(
                f"{len(self._lost)} of the tests that were collected were never reported:", red=True
            )
            _write(terminalreporter, self._lost)
        if self._expired:
            terminalreporter.section("rules out of date")
            terminalreporter.write_line("these entries allow nothing any more; remove or renew them:", red=True)
            _write(terminalreporter, list(self._expired))
        if self._left:
            terminalreporter.section("left behind")
            terminalreporter.write_line("this run did not give back; `vmlab reap` does when it has ended:", red=True)
            _write(terminalreporter, self._left)


def exit_status(status: int, outcomes: Sequence[Outcome], *, is_faulty: bool) -> int:
    """The status of a run that pytest would end with `status`, by the outcomes of all that failed in it. A run that is
    faulty in itself never passes, and only one in which nothing else went wrong is one that lost machines
    or lacked what its tests need."""
    if is_faulty:
        return pytest.ExitCode.TESTS_FAILED if status == pytest.ExitCode.OK else status
    if status != pytest.ExitCode.TESTS_FAILED or not outcomes or not {*outcomes} <= {*UNKNOWN}:
        return status
    return unknown_status(set(outcomes))


def _write(reporter: pytest.TerminalReporter, lines: list[str]) -> None:
    for line in lines[:_SHOWN]:
        reporter.write_line(f"  {line}")
    if len(lines) > _SHOWN:
        reporter.write_line(f"  and {len(lines) - _SHOWN} more")


def _was_stopped(session: pytest.Session) -> bool:
    """By `-x`, `--maxfail` or because it only collects: tests that did not run then are no loss."""
    if session.config.option.collectonly:
        return True
    scheduler = session.config.pluginmanager.get_plugin("dsession")
    return bool(session.shouldstop or session.shouldfail or getattr(scheduler, "shouldstop", False))
