# SPDX-License-Identifier: MIT
"""Watch on the kernel log of a test's guest, from the start of the test to the end of its fixtures."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from vmlab.errors import CommandHung, EmulatorFault, GuestError, KernelTrouble, MachineLost, hides_frames
from vmlab.guest.trouble import as_error, require_checked, shown
from vmlab.guest.watch import KernelWatch
from vmlab.klog.findings import Findings
from vmlab.klog.splat import Splat
from vmlab.klog.verdict import Judgement, judge, source_of, taint_line
from vmlab.lab.lab import Lab
from vmlab.lab.machines import Running
from vmlab.module.confined_symbols import ConfinedSymbols
from vmlab.module.hang_source import locate_hang
from vmlab.module.symbols import with_sources
from vmlab.plugin.account import note
from vmlab.plugin.shared import SharedGuest
from vmlab.reason.network import HINT
from vmlab.report.model import Standing
from vmlab.report.splats import splat_results

__tracebackhide__ = hides_frames

_NO_VERDICT = (KeyboardInterrupt, SystemExit, pytest.exit.Exception)
"""Exceptions that end the run: the guest is not queried after them."""
_SURROUNDING = 10
"""Number of log records shown before a report."""


@dataclass(slots=True)
class ItemWatch:
    """Watch on one guest's kernel log during one test."""

    lab: Lab
    item: pytest.Item
    running: Running
    shared: SharedGuest | None
    kernel: KernelWatch
    commands: int = -1
    """Number of commands that had run in the guest at the last check."""
    has_reported: bool = False

    @classmethod
    def begin(cls, lab: Lab, item: pytest.Item, running: Running, shared: SharedGuest | None) -> ItemWatch:
        """Start a watch and write a marker with the test's name into the guest's kernel log."""
        kernel = KernelWatch(running.guest)
        running.guest.missed_network = ""  # of an earlier test in a shared guest
        try:
            kernel.begin(item.name)
        except MachineLost as lost:
            _mark_dirty(shared, lost.message)
            raise
        return cls(lab, item, running, shared, kernel)

    def require_quiet(self, *, is_end: bool = False) -> None:
        """Check the kernel log, and raise if an unexpected report is there or an expected one is missing.

        `is_end` is the check after the test's fixtures: it is skipped if no command ran and the log has nothing new.
        """
        guest = self.running.guest
        if is_end and (guest.is_lost or (guest.commands == self.commands and not self.kernel.has_news())):
            return
        self.kernel.await_unload()
        findings, judgement = self._look(is_end=is_end)
        if is_end and self.has_reported:
            return
        if not judgement.is_quiet:
            raise self._told(findings, judgement)
        require_checked(findings)
        if findings.lost is not None and not judgement.expected:
            # An incomplete check does not prove that there is no report.
            raise findings.lost

    def explain(self, error: BaseException) -> None:
        """Add the kernel reports to the error of a failed test. Raises `KernelTrouble` if a report explains a lost
        machine, and for a skipped test with a report."""
        if isinstance(error, _NO_VERDICT):
            return
        if isinstance(error, MachineLost | CommandHung):
            _mark_dirty(self.shared, error.message)
        if isinstance(error, EmulatorFault):
            return
        if isinstance(error, CommandHung):
            self._locate(error)
        missed = self.running.guest.missed_network
        if missed and HINT not in str(error):
            error.add_note(f"{missed!r} failed without a network; {HINT}")
        findings, judgement = self._look()
        if judgement.is_quiet or (judgement.missing and not judgement.trouble):
            return
        trouble = self._told(findings, judgement, error)
        # An emulator fault replaces any failure of the test.
        if isinstance(error, MachineLost | pytest.skip.Exception) or isinstance(trouble, EmulatorFault):
            raise trouble from error
        if isinstance(error, GuestError) and not isinstance(error, CommandHung):
            # The kernel's report is the cause: "ended with status 137: Killed" is its consequence.
            error.message = f"{trouble.message}; {error.message}"
        else:
            error.add_note(judgement.reason)

    def _told(
        self, findings: Findings, judgement: Judgement, error: BaseException | None = None
    ) -> KernelTrouble | EmulatorFault:
        """Return the error for the kernel reports, and record them unless the fault is the emulator's."""
        splats = self._resolved(judgement.trouble)
        trouble = as_error(judgement.reason, splats, error, guest=self.running.guest)
        if not isinstance(trouble, EmulatorFault):
            is_raised = error is None or isinstance(error, MachineLost | pytest.skip.Exception)
            self._report(findings, judgement, is_told=is_raised)
        return trouble

    def _locate(self, hung: CommandHung) -> None:
        built = self.lab.testbed(self.running.target).built_already
        if built is not None:
            locate_hang(hung, ConfinedSymbols(built.ko, root=built.directory), built.info.name)

    def _look(self, *, is_end: bool = False) -> tuple[Findings, Judgement]:
        findings = self.kernel.end()
        self.commands = self.running.guest.commands
        words = [str(word) for marker in self.item.iter_markers("expect_splat") for word in marker.args]
        judgement = judge(
            findings,
            expected=words,
            rules=self.running.guest.rules,
            release=self.running.guest.release,
            today=datetime.date.today(),
            expected_taints=[str(word) for marker in self.item.iter_markers("expect_taint") for word in marker.args],
        )
        if is_end:
            judgement = replace(judgement, missing=())
        for _, entry in judgement.allowed:
            self.lab.context.notice(f"{self.running.target.id}: the allow list covers a kernel report: {entry}")
        if findings.cut:
            self.lab.context.notice(f"{self.running.target.id}: {self.item.name}: {findings.cut}")
        self._record(judgement)
        if judgement.trouble or judgement.taints:
            _mark_dirty(self.shared, judgement.reason)
        elif (judgement.expected or judgement.meant_taints) and self.shared is not None:
            why = judgement.expected[0].title if judgement.expected else judgement.meant_taints[0]
            self.shared.mark_dirty(why, is_meant=True)
        elif findings.lost is not None:
            _mark_dirty(self.shared, findings.lost.message)
        return findings, judgement

    def _report(self, findings: Findings, judgement: Judgement, *, is_told: bool) -> None:
        """Add the findings to the test's report: sections for people, properties for programs. `is_told` is true if the
        caller raises an error that shows the reports."""
        self.has_reported = True
        splats = self._resolved(judgement.trouble)
        facts = [*findings.notes, *judgement.expired, f"taint: {taint_line(findings)}"]
        body = "\n\n".join(filter(None, ("" if is_told else shown(splats), _before(findings, splats))))
        if body:
            self.item.add_report_section("call", str(findings.witness), body)
        self.item.add_report_section("call", "about the kernel", "\n".join(facts))
        first = splats[0] if splats else None
        source = source_of(splats)
        note(
            self.item,
            reason=judgement.reason,
            splat=first.title if first else "",
            fingerprint=first.fingerprint if first else "",
            kind=first.kind if first else "",
            blamed=first.module if first else "",
            source=self.lab.source.place(source) if source else "",
        )

    def _record(self, judgement: Judgement) -> None:
        """Store every kernel report for the result file, also expected and allowed ones."""
        allowed = [splat for splat, _ in judgement.allowed]
        for standing, splats in (
            (Standing.TROUBLE, judgement.trouble),
            (Standing.EXPECTED, judgement.expected),
            (Standing.ALLOWED, allowed),
        ):
            note(self.item, splats=splat_results(self._resolved(splats), standing, place=self._place))

    def _place(self, source: str) -> str:
        return self.lab.source.place(source)

    def _resolved(self, splats: Sequence[Splat]) -> list[Splat]:
        built = self.lab.testbed(self.running.target).built_already
        if built is None or not any(frame.module == built.info.name for splat in splats for frame in splat.frames):
            return list(splats)
        return with_sources(splats, ConfinedSymbols(built.ko, root=built.directory), built.info.name)


def _before(findings: Findings, splats: Sequence[Splat]) -> str:
    first = splats[0].records[0].sequence if splats else 0
    earlier = [record for record in findings.records if record.sequence < first][-_SURROUNDING:]
    return "\n".join(["logged before it:", *map(str, earlier)]) if earlier else ""


def _mark_dirty(shared: SharedGuest | None, why: str) -> None:
    if shared is not None:
        shared.mark_dirty(why)
