# SPDX-License-Identifier: MIT
"""What one pytest run knows of its guests: imported only when a test uses one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from vmlab.errors import KernelTrouble, MachineLost, VmlabError
from vmlab.guest.guest import Guest
from vmlab.guest.kernel_log import last_sequence, read_log
from vmlab.guest.splat import Splat, describe, find_splats
from vmlab.lab import Lab
from vmlab.plugin.reporting import Reporter, show_progress
from vmlab.plugin.shared import GivenUp, SharedGuest
from vmlab.settings import SETTINGS, load_settings
from vmlab.target import Target
from vmlab.timing.series import Series

_OUTCOME = "vmlab.outcome"


class GuestSession:
    """The lab of a pytest run, its choices checked, its findings collected."""

    def __init__(self, config: pytest.Config) -> None:
        options: Mapping[str, str | None] = {s.name: config.getoption(f"vmlab_{s.name}") for s in SETTINGS}
        self.notices: list[str] = []
        self.series: list[Series] = []
        with usage_errors():
            settings = load_settings(options, directory=config.rootpath)
        self.lab = Lab(settings, progress=show_progress(config), notice=self._notice)
        self._reporter: Reporter | None = None

    def check_choices(self) -> None:
        """Refuse wrong targets, and a wrong module that was named, in one line before anything runs."""
        with usage_errors():
            _ = self.lab.targets
            if self.lab.settings.origin["module"] != "default":
                _ = self.lab.source

    def targets(self) -> tuple[Target, ...]:
        with usage_errors():
            return self.lab.targets

    def start_reporting(self, config: pytest.Config) -> Reporter:
        """From here on results are collected for the table and the result file."""
        if self._reporter is None:
            self._reporter = Reporter(self.lab, series=self.series, notices=self.notices)
            config.pluginmanager.register(self._reporter, "vmlab-reporter")
        return self._reporter

    def watch(self, item: pytest.Item) -> KernelWatch | None:
        """Look at the kernel log from now on, on the guest that a test uses; None when it uses none."""
        funcargs: Mapping[str, object] = getattr(item, "funcargs", {})
        used = funcargs.get("guest") or funcargs.get("booted_guest")
        shared = funcargs.get("vmlab_shared") if funcargs.get("guest") is not None else None
        if not isinstance(used, Guest):
            return None
        return KernelWatch.begin(used, item, shared if isinstance(shared, SharedGuest) else None)

    def describe(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Put on a test's report what a reader needs: target, kernel, and the lab's own words for a fault."""
        target = getattr(item, "callspec", None) and item.callspec.params.get("vmlab_target")  # type: ignore[attr-defined]
        if isinstance(target, Target):
            self._describe_target(target, report)
        if call.excinfo is None or not isinstance(call.excinfo.value, VmlabError):
            return
        error = call.excinfo.value
        if isinstance(error, GivenUp):
            self._describe_outcome("not run", item, report)
        elif isinstance(error, MachineLost):
            self._describe_outcome("lost", item, report)
            shared = getattr(item, "funcargs", {}).get("vmlab_shared")
            if isinstance(shared, SharedGuest):
                # Also when a fixture lost it, before or after the test: the next test gets another guest.
                shared.mark_dirty(error.message)
        if call.when == "setup" or isinstance(error, MachineLost | KernelTrouble):
            # The traceback would lead through the lab, where the fault is not.
            report.longrepr = call.excinfo.getrepr(style="value")

    def _describe_outcome(self, word: str, item: pytest.Item, report: pytest.TestReport) -> None:
        # On the item too: JUnit XML is made from the report of the teardown.
        for properties in (item.user_properties, report.user_properties):
            if (_OUTCOME, word) not in properties:
                properties.append((_OUTCOME, word))

    def _describe_target(self, target: Target, report: pytest.TestReport) -> None:
        properties = {"vmlab.target": target.id}
        facts = self.lab.facts.get(target.id)
        if facts is not None:
            properties["vmlab.kernel"] = facts.provenance.release
            properties["vmlab.accelerator"] = facts.provenance.accelerator
            properties["vmlab.compiler"] = facts.provenance.compiler
            if facts.consoles:
                properties["vmlab.console"] = facts.consoles[-1]
        known = {name for name, _ in report.user_properties}
        report.user_properties += [pair for pair in properties.items() if pair[0] not in known]

    def _notice(self, text: str) -> None:
        if text not in self.notices:
            self.notices.append(text)


@dataclass(slots=True)
class KernelWatch:
    """The kernel log during one test."""

    guest: Guest
    item: pytest.Item
    shared: SharedGuest | None
    after: int

    @classmethod
    def begin(cls, guest: Guest, item: pytest.Item, shared: SharedGuest | None) -> KernelWatch:
        # Going on from the last test's look saves one of two, and leaves no gap in which a fixture's trouble hides.
        after = shared.log_position if shared is not None else None
        return cls(guest, item, shared, last_sequence(read_log(guest)) if after is None else after)

    def require_quiet(self) -> None:
        """Raise `KernelTrouble` when the kernel reported trouble while the test ran, however the test ended."""
        splats = self._splats()
        if splats:
            raise KernelTrouble(f"kernel: {splats[0].title}", detail=describe(splats))

    def explain(self, error: BaseException) -> None:
        """Add to a failed test what the kernel reported meanwhile."""
        if self.shared is not None and isinstance(error, MachineLost):
            self.shared.mark_dirty(error.message)
        # After Ctrl-C nobody waits for a guest's answer.
        if isinstance(
            error, MachineLost | pytest.skip.Exception | KeyboardInterrupt | SystemExit | pytest.exit.Exception
        ):
            return
        try:
            splats = self._splats()
        except VmlabError as lost:
            error.add_note(f"the kernel log could not be read: {lost.message}")
            return
        for splat in splats:
            error.add_note(f"kernel: {splat.title}")
        if splats:
            self.item.add_report_section("call", "kernel log", describe(splats))

    def _splats(self) -> list[Splat]:
        try:
            records = read_log(self.guest, after=self.after)
        except MachineLost as lost:
            if self.shared is not None:
                self.shared.mark_dirty(lost.message)
            raise
        splats = find_splats(records)
        if self.shared is not None:
            self.shared.log_position = max(self.after, last_sequence(records))
            if splats:
                self.shared.mark_dirty(splats[0].title)
        return splats


@contextlib.contextmanager
def usage_errors():  # type: ignore[no-untyped-def]
    """The lab's errors as pytest's one line and exit status 4."""
    try:
        yield
    except VmlabError as error:
        raise pytest.UsageError(f"vmlab: {error.one_line}") from None
