# SPDX-License-Identifier: MIT
"""Checks at the end of a run: every collected test has a report, and no machine is left."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest

from vmlab.machine.registry import left_by
from vmlab.plugin.account import account_on
from vmlab.plugin.clean import clean_line
from vmlab.plugin.unfinished import collected
from vmlab.report.model import UNKNOWN, Outcome, unknown_status
from vmlab.system.process import ProcessIdentity

_SHOWN = 10
_LEFT = "vmlab.left"


class Accounting:
    """Compares collected with reported tests, and looks at the end of the run for machines that still exist.

    With xdist each worker looks for the machines that it started, and the controller compares the tests.
    """

    def __init__(self, expired: Sequence[str] = ()) -> None:
        """`expired` are expired entries of the allow list: any entry fails the run."""
        self._expired = expired
        self._outcomes: list[Outcome] = []
        """Outcomes of the failed reports."""
        self._reported: set[str] = set()
        self._lost: list[str] = []
        self._left: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reported.add(report.nodeid)
        if report.failed:
            self._outcomes.append(account_on(report).outcome or Outcome.FAILED)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Add the machines that an xdist worker left when it ended."""
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
        # Collection errors have no test report, and count as failures.
        others = [Outcome.FAILED] * (session.testsfailed - len(self._outcomes))
        session.exitstatus = exit_status(
            session.exitstatus, [*self._outcomes, *others], is_faulty=bool(self._lost or self._left or self._expired)
        )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._lost:
            terminalreporter.section("tests without a result")
            terminalreporter.write_line(f"{len(self._lost)} of the collected tests have no report:", red=True)
            _write(terminalreporter, self._lost)
        if self._expired:
            terminalreporter.section("expired rules")
            terminalreporter.write_line("these entries of the allow list have expired; remove or renew them:", red=True)
            _write(terminalreporter, list(self._expired))
        if self._left:
            terminalreporter.section("left behind")
            terminalreporter.write_line("this run did not stop these; type `vmlab reap` after it ends:", red=True)
            _write(terminalreporter, self._left)


def exit_status(status: int, outcomes: Sequence[Outcome], *, is_faulty: bool) -> int:
    """Return a run's exit status, given pytest's `status` and the outcomes of all failures. A faulty run never passes.

    The statuses for lost, not run and unavailable apply only if all failures have these outcomes."""
    if is_faulty:
        return pytest.ExitCode.TESTS_FAILED if status == pytest.ExitCode.OK else status
    if status != pytest.ExitCode.TESTS_FAILED or not outcomes or not {*outcomes} <= {*UNKNOWN}:
        return status
    return unknown_status(set(outcomes))


def _write(reporter: pytest.TerminalReporter, lines: list[str]) -> None:
    for line in lines[:_SHOWN]:
        reporter.write_line(clean_line(reporter.config, f"  {line}"))
    if len(lines) > _SHOWN:
        reporter.write_line(f"  and {len(lines) - _SHOWN} more")


def _was_stopped(session: pytest.Session) -> bool:
    """True if `-x`, `--maxfail` or `--collect-only` ended the run: tests that did not run are then not reported."""
    if session.config.option.collectonly:
        return True
    scheduler = session.config.pluginmanager.get_plugin("dsession")
    return bool(session.shouldstop or session.shouldfail or getattr(scheduler, "shouldstop", False))
