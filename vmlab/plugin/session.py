# SPDX-License-Identifier: MIT
"""What one pytest run knows of its guests: imported only when a test uses one."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from vmlab.catalogue.target import Target, architectures_of
from vmlab.cloud.lock import require_locked
from vmlab.errors import (
    AssetError,
    CommandHung,
    EmulatorFault,
    HostError,
    KernelTrouble,
    MachineLost,
    ModuleError,
    VmlabError,
    hides_frames,
)
from vmlab.guest.guest import Guest
from vmlab.host.accelerator import Verdict, ladder_words, without_proof
from vmlab.host.binfmt import native_architecture
from vmlab.lab.lab import Lab
from vmlab.lab.machines import Running
from vmlab.lab.timed import require_possible
from vmlab.plugin.account import Account, account_of, attach, forget_account, note
from vmlab.plugin.again import discount
from vmlab.plugin.needs import needs_the_module, target_of_item, targets_with_an_image
from vmlab.plugin.progress import show_progress
from vmlab.plugin.reporting import Reporter
from vmlab.plugin.sharding import keep_own
from vmlab.plugin.shared import GivenUp, SharedGuest
from vmlab.plugin.watch import ItemWatch
from vmlab.report.durations import read_durations
from vmlab.report.files import remove_result
from vmlab.report.model import Outcome, ShardFacts
from vmlab.settings import SETTINGS, load_settings
from vmlab.timing.series import Series

__tracebackhide__ = hides_frames

_FAILED = pytest.StashKey[bool]()


class Lent(NamedTuple):
    """A guest in the hands of a test."""

    running: Running
    shared: SharedGuest | None
    """What it is shared through, when it is not the test's own."""


_LENT = pytest.StashKey[dict[Guest, Lent]]()
_WATCHES = pytest.StashKey[dict[Guest, ItemWatch]]()
_MOST_LOST = 3
"""So many tests of a target lost one after the other, and it is broken: the rest would only be waited for."""


class GuestSession:
    """The lab of a pytest run, its choices checked, its findings collected."""

    def __init__(self, config: pytest.Config) -> None:
        options: Mapping[str, str | None] = {s.name: config.getoption(f"vmlab_{s.name}") for s in SETTINGS}
        self.notices: list[str] = []
        self.series: list[Series] = []
        with usage_errors():
            settings = load_settings(options, directory=config.rootpath)
        voices = {"progress": show_progress(config), "notice": self._notice}
        made: Lab | None = config.hook.pytest_vmlab_make_lab(settings=settings, **voices)
        self.lab = made or Lab(settings, **voices)
        self.shard: ShardFacts | None = None
        """Which part of the run this is, once the tests are known."""
        self.shard_words = ""
        self.shared: SharedGuest | None = None
        """The one that this process has, while it has one."""
        self._told: dict[str, str] = {}
        """Errors that were shown whole, and with which test."""
        self._reporter: Reporter | None = None

    def check_choices(self) -> None:
        """Refuse wrong targets, and a wrong module that was named, in one line before anything runs."""
        with usage_errors():
            _ = self.lab.targets, self.lab.rules
            if self.lab.settings.origin["module"] != "default":
                _ = self.lab.source
            require_possible(self.lab.settings, self.lab.targets)
            if self.lab.settings.durations is not None:
                read_durations(self.lab.settings.durations)

    def expired_rules(self) -> list[str]:
        """The entries of the allow list that are out of date."""
        with usage_errors():
            today = datetime.date.today()
            return [f"{entry}: expired on {entry.expires}" for entry in self.lab.rules.expired(today)]

    def targets(self) -> tuple[Target, ...]:
        with usage_errors():
            return self.lab.targets

    def require_accelerator(self) -> None:
        """Refuse a run that demands KVM where it cannot be had, before anything is built or booted for it."""
        with usage_errors():
            self._verdict()

    def header(self) -> list[str]:
        """What the run's header tells: the accelerator and how far down the ladder it was found, and the shard."""
        try:
            verdict = self._verdict()
            told = "not known yet: KVM is proved with the first image" if verdict is None else ladder_words(verdict)
        except VmlabError as error:
            # What a command line demands was refused before; a project's run may turn out to have no guests.
            told = f"none: {error.message}"
        shard = self.lab.settings.shard
        return [f"vmlab: accelerator: {told}", *([f"vmlab: shard: {shard}"] if shard is not None else [])]

    def _verdict(self) -> Verdict | None:
        """The accelerator of this host's own architecture; None when there is no image yet to prove KVM with."""
        there = architectures_of(self.lab.targets)
        architecture = native_architecture()
        if architecture is None or architecture not in there:
            return without_proof(self.lab.settings.accel, there[0])
        early = without_proof(self.lab.settings.accel, architecture)
        image = None if early is not None else self.lab.accelerators.proof_image(architecture)
        return early if image is None else self.lab.accelerators.verdict(image)

    def keep_own_part(self, items: list[pytest.Item]) -> list[pytest.Item]:
        """Leave in a run's tests those of the shard that was asked for; returns the others.

        A run without a guest stays as it is, for the plugin to refuse: nothing of it would be in any result.
        """
        shard = self.lab.settings.shard
        targets = {item: target for item in items if (target := target_of_item(item)) is not None}
        if shard is None or not targets:
            return []
        with usage_errors():
            self.shard, others, self.shard_words = keep_own(items, targets, self.lab.settings, shard)
        return others

    def require_ready(self, items: list[pytest.Item]) -> None:
        """Refuse in one line, before the first test, what each of them would otherwise stumble over by itself."""
        targets = targets_with_an_image(items)
        with usage_errors():
            if needs_the_module(items):
                _ = self.lab.source
            require_locked(targets, self.lab.settings)
            if targets:
                # Already proved, or refused, where the command line named targets.
                self._verdict()

    def start_reporting(self, config: pytest.Config) -> Reporter:
        """From here on results are collected for the table and the result file."""
        if self._reporter is None:
            self._reporter = Reporter(self.lab, series=self.series, notices=self.notices, shard=self.shard)
            config.pluginmanager.register(self._reporter, "vmlab-reporter")
        return self._reporter

    def forget_last_run(self, config: pytest.Config) -> None:
        """Where this run has a result to write, take away that of the run before, lest it be taken for this one's."""
        if self._reporter is None:
            return
        # Of xdist's workers one may begin when the controller has written its JUnit XML already.
        xml = None if hasattr(config, "workerinput") else getattr(config.option, "xmlpath", None)
        try:
            remove_result(self.lab.settings.report, *([Path(xml)] if xml else []))
        except VmlabError as error:
            self._notice(f"the results of an earlier run are still there: {error.message}")

    def lend(self, item: pytest.Item, running: Running, shared: SharedGuest | None = None) -> None:
        """Remember which guests a test was given, and of which it is one test of many; its kernel is watched from
        now on."""
        if running.guest not in item.stash.setdefault(_LENT, {}):
            item.stash[_LENT][running.guest] = Lent(running, shared)
            watch = ItemWatch.begin(self.lab, item, running, shared)
            item.stash.setdefault(_WATCHES, {})[running.guest] = watch

    def say_waiting(self, item: pytest.Item) -> None:
        """Tell the user why nothing happens."""
        self.lab.context.progress(f"{item.name}: waiting for other guests' tests to end, to be timed alone")

    @contextlib.contextmanager
    def shared_guest_at_rest(self) -> Iterator[None]:
        """Let the shared guest of this process stand still for the length of a `with` block."""
        if self.shared is None:
            yield
            return
        with self.shared.at_rest():
            yield

    def watches(self, item: pytest.Item) -> list[ItemWatch]:
        """The watches over the guests that a test was given."""
        return list(item.stash.get(_WATCHES, {}).values())

    def take_back(self, item: pytest.Item, guest: Guest) -> None:
        """A test is done with a guest, and so are its fixtures: raises `KernelTrouble` for what those did."""
        watch = item.stash.get(_WATCHES, {}).pop(guest, None)
        if watch is not None and not self.has_failed(item):
            watch.require_quiet(is_end=True)

    def forget(self, item: pytest.Item) -> None:
        """A test begins anew, with no guest and no fault."""
        item.stash[_LENT], item.stash[_WATCHES], item.stash[_FAILED] = {}, {}, False
        forget_account(item)

    def require_unbroken(self, item: pytest.Item) -> None:
        """Raise `GivenUp` for a test of a target whose machines were lost again and again."""
        target = target_of_item(item)
        lost = self.lab.testbed(target).losses if target is not None else []
        if target is not None and len(lost) >= _MOST_LOST:
            raise GivenUp(f"{target.id} is broken: {_MOST_LOST} tests in a row lost their machine, first by: {lost[0]}")

    def mark_dirty(self, item: pytest.Item, why: str, guest: Guest | None = None) -> None:
        """Do not give a guest, or any that a test was given, to another test, if it is one that is shared."""
        for lent_guest, lent in _lent_to(item).items():
            if lent.shared is not None and guest in (None, lent_guest):
                lent.shared.mark_dirty(why)

    def has_failed(self, item: pytest.Item) -> bool:
        return item.stash.get(_FAILED, False)

    def describe(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Put on a test's report what a reader needs: target, kernel, and the lab's own words for a fault."""
        target = target_of_item(item)
        if target is not None:
            self._count_lost(target, call, report)
        self._describe_end(item, call, report)
        account = account_of(item)
        attach(account if target is None else self._with_target(account, target, item, report), report)

    def _describe_end(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        error = call.excinfo.value if call.excinfo is not None else None
        if isinstance(error, EmulatorFault) and discount(item, report):
            note(item, is_rerun=True)
            self.mark_dirty(item, error.message)
            self._notice(f"{item.name}: run again in a fresh guest: {error.message}")
            return
        if report.failed and self.has_failed(item) and isinstance(error, VmlabError):
            # A test has one outcome: what its fixtures meet in a guest that it broke is no second.
            report.outcome, report.longrepr = "passed", None
            return
        if report.failed and not self.has_failed(item):
            item.stash[_FAILED] = True
            if self.lab.settings.keep:
                self._keep_guests(item)
        if call.excinfo is None:
            return
        if not isinstance(error, VmlabError):
            _head_summary(account_of(item).reason, report)
            return
        if isinstance(error, GivenUp):
            note(item, outcome=Outcome.NOT_RUN)
        elif isinstance(error, MachineLost):
            note(item, outcome=Outcome.LOST)
            # Also when a fixture lost it, before or after the test: the next test gets another guest.
            self.mark_dirty(item, error.message)
        elif isinstance(error, ModuleError):
            fingerprint = error.fingerprint if isinstance(error, KernelTrouble) else ""
            note(item, source=self.lab.source.place(error.source) if error.source else "", fingerprint=fingerprint)
        elif isinstance(error, AssetError | HostError) and not account_of(item).reason:
            # Where the kernel reported trouble, that is the verdict, whatever else went wrong.
            note(item, outcome=Outcome.UNAVAILABLE)
        is_the_labs = call.when == "setup" or isinstance(error, MachineLost | KernelTrouble | CommandHung)
        if is_the_labs and not item.config.option.fulltrace:
            # The traceback would lead through the lab, where the fault is not, and a cause's words stand in the error.
            report.longrepr = self._told_once(call.excinfo, error, item).getrepr(style="value", chain=False)
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None:
            crash.message = error.one_line
        reason = account_of(item).reason
        if isinstance(error, CommandHung):
            note(item, reason=error.message, kind="hang")
        if reason and not isinstance(error, KernelTrouble):
            _head_summary(reason, report)

    def _told_once(
        self, caught: pytest.ExceptionInfo[BaseException], error: VmlabError, item: pytest.Item
    ) -> pytest.ExceptionInfo[BaseException]:
        """The error, its evidence left out where an earlier test has it: a compiler's words would come for each."""
        first = self._told.setdefault(str(error), item.nodeid)
        if not error.detail or first == item.nodeid:
            return caught
        retold = error.retold(detail=f"(its output is with {first})")
        return pytest.ExceptionInfo.from_exc_info((type(retold), retold, caught.tb))

    def _keep_guests(self, item: pytest.Item) -> None:
        for guest, lent in _lent_to(item).items():
            machine = lent.running.machine
            try:
                # Nobody gets into a guest whose kernel has panicked; its console is all there is.
                machine.require_alive()
                record = machine.keep()
            except VmlabError as error:
                self._notice(f"{item.name}: its guest was not kept: {error.message}; console: {machine.console.path}")
                continue
            self.mark_dirty(item, "it was kept", guest)
            self._notice(f"{item.name} failed, and its guest was kept: vmlab shell {record.name}")

    def _with_target(self, account: Account, target: Target, item: pytest.Item, report: pytest.TestReport) -> Account:
        """The account with what the test ran on, as far as that is known by now."""
        facts = self.lab.testbed(target).facts
        if facts is None:
            return replace(account, target=target.id)
        consoles = [str(lent.running.machine.console.path) for lent in _lent_to(item).values()]
        # A fork's console begins where it was forked, and is kept when its test failed.
        is_kept = consoles and (report.failed or self.has_failed(item))
        return replace(
            account,
            target=target.id,
            kernel=facts.provenance.release,
            accelerator=facts.provenance.accelerator,
            compiler=facts.provenance.compiler,
            console=consoles[0] if is_kept else facts.consoles[-1] if facts.consoles else "",
        )

    def _count_lost(self, target: Target, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        error = call.excinfo.value if call.excinfo is not None else None
        if isinstance(error, MachineLost):
            self.lab.testbed(target).losses.append(error.message)
        elif report.when == "call":
            self.lab.testbed(target).losses.clear()

    def _notice(self, text: str) -> None:
        if text not in self.notices:
            self.notices.append(text)


def _head_summary(reason: str, report: pytest.TestReport) -> None:
    """Let the short summary begin with what the kernel said, where that is not the error itself."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if reason and crash is not None:
        crash.message = f"{reason}; {crash.message}"


def _lent_to(item: pytest.Item) -> dict[Guest, Lent]:
    return item.stash.get(_LENT, {})


@contextlib.contextmanager
def usage_errors():  # type: ignore[no-untyped-def]
    """The lab's errors as pytest's one line and exit status 4."""
    try:
        yield
    except VmlabError as error:
        raise pytest.UsageError(f"vmlab: {error.one_line}") from None
