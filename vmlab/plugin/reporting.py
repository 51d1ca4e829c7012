# SPDX-License-Identifier: MIT
"""Collection of results for the table and the result file, also from xdist's workers."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import vmlab
from vmlab.decode import structure, unstructure
from vmlab.errors import VmlabError
from vmlab.lab.facts import TargetFacts
from vmlab.lab.lab import Lab
from vmlab.plugin.account import account_on
from vmlab.plugin.again import RERUN
from vmlab.plugin.clean import clean_line, command_line, shown_by
from vmlab.plugin.node_ids import short_name, target_of, target_pattern
from vmlab.plugin.unfinished import Unfinished
from vmlab.report.console import LOG_WIDTH
from vmlab.report.files import write_result
from vmlab.report.github import notices
from vmlab.report.junit import keep_apart
from vmlab.report.measured import measured_lines, shown_path
from vmlab.report.model import SCHEMA, Outcome, RunResult, ShardFacts, Standing, TargetResult, TestResult
from vmlab.report.terminal import render
from vmlab.settings import without_password
from vmlab.text import printable
from vmlab.timing.series import Series

_WORKER_OUTPUT = "vmlab"


class Reporter:
    """Receives every test's reports and groups the results by target."""

    def __init__(
        self,
        lab: Lab,
        *,
        rootdir: Path,
        series: list[Series],
        notices: list[str],
        shard: ShardFacts | None = None,
    ) -> None:
        self._lab = lab
        self._rootdir = rootdir
        self._shard = shard
        self._series = series
        self._notices = notices
        self._started = datetime.now(UTC)
        self._facts: dict[str, TargetFacts] = {}
        self._tests: dict[tuple[str, str], TestResult] = {}
        self._unfinished = Unfinished()
        self._target = target_pattern([target.id for target in lab.matrix.variants])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if target_of(nodeid, self._target):
            self._unfinished.begin(nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._unfinished.end(nodeid)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self._unfinished.stop(excinfo.value)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        account = account_on(report)
        # The report of a test that crashed its worker has no account.
        target = account.target or target_of(report.nodeid, self._target)
        if not target:
            return
        if str(report.outcome) == RERUN:
            self._unfinished.spend(report.nodeid, report.duration)
            return
        key = (target, report.nodeid)
        before = self._tests.get(key)
        outcome = _outcome(report, account.outcome)
        if before is None and outcome is Outcome.PASSED and report.when != "call":
            # A passed setup does not decide the outcome: the run may be interrupted in the call.
            self._unfinished.spend(report.nodeid, report.duration)
            return
        spent = report.duration + (before.duration_s if before else self._unfinished.end(report.nodeid))
        if before is not None and (outcome is Outcome.PASSED or before.outcome not in (Outcome.PASSED,)):
            # The first fault of a test is its reason; a later phase only adds time and kernel reports.
            self._tests[key] = replace(before, duration_s=spent, splats=account.splats)
            return
        is_fault = outcome is not Outcome.PASSED
        self._tests[key] = TestResult(
            test=short_name(report.nodeid, target),
            target=target,
            outcome=outcome,
            duration_s=spent,
            reason=(account.reason or _reason(report)) if is_fault else "",
            fingerprint=account.fingerprint if is_fault else "",
            source=account.source if is_fault else "",
            place=self._place(report) if outcome in (Outcome.FAILED, Outcome.ERROR) else "",
            splats=account.splats,
        )

    def _place(self, report: pytest.TestReport) -> str:
        """Return the line at which a test failed, relative to pytest's rootdir; empty if it is not below that."""
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is None:
            return ""
        path = self._rootdir / crash.path
        is_below = path.is_relative_to(self._rootdir)
        return printable(f"{path.relative_to(self._rootdir)}:{crash.lineno}") if is_below else ""

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Add the facts, series and notices of an xdist worker that ended."""
        del error
        text = getattr(node, "workeroutput", {}).get(_WORKER_OUTPUT)
        if text is None:
            return
        data = json.loads(text)
        self._facts |= {key: structure(row, TargetFacts, where="worker") for key, row in data["facts"].items()}
        self._series += [structure(row, Series, where="worker") for row in data["series"]]
        self._notices += [notice for notice in data["notices"] if notice not in self._notices]
        if data["shard"] is not None:
            # All workers collected the same tests.
            self._shard = structure(data["shard"], ShardFacts, where="worker")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            facts = {key: unstructure(row) for key, row in self._lab_facts().items()}
            series = [unstructure(row) for row in self._series]
            shard = unstructure(self._shard) if self._shard is not None else None
            output[_WORKER_OUTPUT] = json.dumps(
                {"facts": facts, "series": series, "notices": self._notices, "shard": shard}
            )
            return
        told = {nodeid for _, nodeid in self._tests}
        notice = self._unfinished.notice(session, told, lambda nodeid: bool(target_of(nodeid, self._target)))
        self._notices += [notice] if notice else []
        for nodeid, spent_s in self._unfinished.tests().items():
            self._interrupt(nodeid, target_of(nodeid, self._target), spent_s)

    def _interrupt(self, nodeid: str, target: str, spent_s: float) -> None:
        """Record a test that was running when the run was stopped as not run."""
        if target:
            self._tests.setdefault(
                (target, nodeid),
                TestResult(
                    test=short_name(nodeid, target),
                    target=target,
                    outcome=Outcome.NOT_RUN,
                    duration_s=spent_s,
                    reason="the run was interrupted in this test",
                ),
            )

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        writer = terminalreporter
        result = self.result()
        is_empty = not any(row.tests for row in result.targets)
        # A shard without results still writes a file, so that `vmlab report merge` does not miss it.
        if hasattr(writer.config, "workerinput") or (is_empty and self._shard is None):
            return
        _write_lost(writer)
        _keep_junit_apart(writer.config)
        writer.section("kernels")
        color = bool(writer.config.get_terminal_writer().hasmarkup)
        # Only a terminal has a width to fold the table to; a log gets a fixed one.
        width = writer.config.get_terminal_writer().fullwidth if color else LOG_WIDTH
        writer.write(shown_by(writer.config, render(result, width=width, color=color)))
        for line in measured_lines(result.series, report=shown_path(self._lab.settings.report)):
            writer.write_line(clean_line(writer.config, line))
        if os.environ.get("GITHUB_ACTIONS") == "true":
            for line in notices(result.notices):
                writer.write_line(command_line(writer.config, line))
        try:
            path = write_result(result, self._lab.settings.report)
            writer.write_line(clean_line(writer.config, f"results: {path}"))
        except VmlabError as error:
            writer.write_line(clean_line(writer.config, f"vmlab: {error.one_line}"), red=True)

    def result(self) -> RunResult:
        """Return the result of the run so far."""
        facts = self._facts | self._lab_facts()
        order = [target.id for target in self._lab.matrix.variants]
        seen = sorted({target for target, _ in self._tests}, key=order.index)
        settings = self._lab.settings
        return RunResult(
            schema=SCHEMA,
            vmlab=vmlab.__version__,
            started=self._started.isoformat(timespec="seconds"),
            module=settings.module.name,
            settings={
                name: f"{without_password(str(getattr(settings, name)))} ({origin})"
                for name, origin in settings.origin.items()
            },
            targets=tuple(
                TargetResult(
                    target=target,
                    facts=facts.get(target),
                    tests=tuple(test for (of, _), test in self._tests.items() if of == target),
                )
                for target in seen
            ),
            series=tuple(self._series),
            notices=(*self._notices, *self._known_splats()),
            source=self._source_digest(),
            shard=self._shard,
        )

    def _lab_facts(self) -> dict[str, TargetFacts]:
        known = {testbed.target.id: testbed.facts for testbed in self._lab.testbeds}
        return {name: facts for name, facts in known.items() if facts is not None}

    def _known_splats(self) -> list[str]:
        """Return a line about the user's rules: who named the file, and the number of reports that entries allowed."""
        path, origin = self._lab.settings.known_splats, self._lab.settings.origin["known_splats"]
        splats = [splat for test in self._tests.values() for splat in test.splats]
        allowed = sum(splat.standing is Standing.ALLOWED for splat in splats)
        return [f"known splats of {path} ({origin}): {allowed} kernel reports allowed"] if path is not None else []

    def _source_digest(self) -> str:
        try:
            return self._lab.source.digest
        except VmlabError:
            return ""  # a run without a module has no sources


def _write_lost(reporter: pytest.TerminalReporter) -> None:
    """Write the details of lost machines and unavailable resources, and a line for each lost, not run or unavailable
    test: pytest itself shows only failures and errors."""
    lost, not_run = reporter.stats.get("lost", []), reporter.stats.get("not run", [])
    unavailable = reporter.stats.get("unavailable", [])
    # One section per reason: all tests of a target lack the same image.
    lacking = list({_reason(report): report for report in reversed(unavailable)}.values())[::-1]
    for word, shown in (("LOST", lost), ("UNAVAILABLE", lacking)):
        if shown:
            reporter.section(word)
        for report in shown:
            reporter.write_sep("_", clean_line(reporter.config, report.head_line or ""))
            report.toterminal(reporter.config.get_terminal_writer())
    if lost or not_run or unavailable:
        reporter.section("lost, not run and unavailable")
    for word, reports in (("LOST", lost), ("NOT RUN", not_run), ("UNAVAILABLE", unavailable)):
        for report in reports:
            reporter.write_line(clean_line(reporter.config, f"{word} {report.nodeid} - {_reason(report)}"))


def _keep_junit_apart(config: pytest.Config) -> None:
    """Rewrite pytest's JUnit XML, which reports a lost machine as a failure of the module."""
    path = getattr(config.option, "xmlpath", None)
    if path and Path(path).is_file():
        file = Path(path)
        file.write_text(keep_apart(file.read_text(encoding="utf-8")), encoding="utf-8")


def _outcome(report: pytest.TestReport, marked: Outcome | None) -> Outcome:
    if report.passed:
        return Outcome.PASSED
    if report.skipped:
        return Outcome.SKIPPED
    if marked is not None:
        return marked
    # xdist reports the test in which a worker crashed without the phase.
    return Outcome.FAILED if report.when not in ("setup", "teardown") else Outcome.ERROR


def _reason(report: pytest.TestReport) -> str:
    """Return one line: the kernel report if there is one, else the exception's message."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr or "")
    line = text.strip().splitlines()[0] if text.strip() else ""
    # The lab's messages are complete without the class; other exceptions need theirs.
    return re.sub(r"^vmlab\.[\w.]+: ", "", line)
