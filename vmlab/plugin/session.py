# SPDX-License-Identifier: MIT
"""The state of one pytest run that uses guests; imported only when a test uses one."""

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
    BuildError,
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
from vmlab.report.build_log import keep_build_log
from vmlab.report.durations import read_durations
from vmlab.report.files import remove_result
from vmlab.report.kept import kept_notice
from vmlab.report.model import Outcome, ShardFacts
from vmlab.settings import SETTINGS, load_settings
from vmlab.timing.series import Series

__tracebackhide__ = hides_frames

_FAILED = pytest.StashKey[bool]()


class Lent(NamedTuple):
    """A guest that a test uses."""

    running: Running
    shared: SharedGuest | None
    """The owner of a shared guest; None for a guest that only this test uses."""


_LENT = pytest.StashKey[dict[Guest, Lent]]()
_WATCHES = pytest.StashKey[dict[Guest, ItemWatch]]()
_MOST_LOST = 3
"""Number of tests in a row that lose their machine after which the target counts as broken."""


class GuestSession:
    """The lab of a pytest run, with its checked settings and collected results."""

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
        """This run's shard, set after collection; None for a whole run."""
        self.shard_words = ""
        self.shared: SharedGuest | None = None
        """This process's shared guest; None when no test uses one."""
        self._told: dict[str, str] = {}
        """Node id of the test whose report shows an error in full, by the error's text."""
        self._reporter: Reporter | None = None

    def check_choices(self) -> None:
        """Raise `pytest.UsageError` for invalid targets, settings or module before any test runs."""
        with usage_errors():
            _ = self.lab.targets, self.lab.rules
            if self.lab.settings.origin["module"] != "default":
                _ = self.lab.source
            require_possible(self.lab.settings, self.lab.targets)
            if self.lab.settings.durations is not None:
                read_durations(self.lab.settings.durations)

    def expired_rules(self) -> list[str]:
        """Return the expired entries of the allow list."""
        with usage_errors():
            today = datetime.date.today()
            return [f"{entry}: expired on {entry.expires}" for entry in self.lab.rules.expired(today)]

    def targets(self) -> tuple[Target, ...]:
        with usage_errors():
            return self.lab.targets

    def require_accelerator(self) -> None:
        """Raise `pytest.UsageError` before any build or boot if the run demands KVM and the host does not have it."""
        with usage_errors():
            self._verdict()

    def header(self) -> list[str]:
        """Return the header lines: the accelerator, how it was chosen, and the shard."""
        try:
            verdict = self._verdict()
            told = "not known yet: KVM is proved with the first image" if verdict is None else ladder_words(verdict)
        except VmlabError as error:
            # require_accelerator() has refused a command line's demand; a project's run may use no guest.
            told = f"none: {error.message}"
        shard = self.lab.settings.shard
        return [f"vmlab: accelerator: {told}", *([f"vmlab: shard: {shard}"] if shard is not None else [])]

    def _verdict(self) -> Verdict | None:
        """The accelerator for the host's architecture; None when there is no image yet to prove KVM with."""
        there = architectures_of(self.lab.targets)
        architecture = native_architecture()
        if architecture is None or architecture not in there:
            return without_proof(self.lab.settings.accel, there[0])
        early = without_proof(self.lab.settings.accel, architecture)
        image = None if early is not None else self.lab.accelerators.proof_image(architecture)
        return early if image is None else self.lab.accelerators.verdict(image)

    def keep_own_part(self, items: list[pytest.Item]) -> list[pytest.Item]:
        """Reduce `items` to the tests of the selected shard and return the others.

        A run without a guest stays unchanged: the plugin refuses it, since no result would contain its tests.
        """
        shard = self.lab.settings.shard
        targets = {item: target for item in items if (target := target_of_item(item)) is not None}
        if shard is None or not targets:
            return []
        with usage_errors():
            self.shard, others, self.shard_words = keep_own(items, targets, self.lab.settings, shard)
        return others

    def require_ready(self, items: list[pytest.Item]) -> None:
        """Raise `pytest.UsageError` before the first test for a fault that would otherwise fail each test."""
        targets = targets_with_an_image(items)
        with usage_errors():
            if needs_the_module(items):
                _ = self.lab.source
            require_locked(targets, self.lab.settings)
            if targets:
                # Cached if the command line named targets.
                self._verdict()

    def start_reporting(self, config: pytest.Config) -> Reporter:
        """Start to collect results for the table and the result file; return the reporter."""
        if self._reporter is None:
            self._reporter = Reporter(
                self.lab, rootdir=config.rootpath, series=self.series, notices=self.notices, shard=self.shard
            )
            config.pluginmanager.register(self._reporter, "vmlab-reporter")
        return self._reporter

    def forget_last_run(self, config: pytest.Config) -> None:
        """Remove the result of the run before if this run will write one: a crash must not leave the old one."""
        if self._reporter is None:
            return
        # An xdist worker may start after the controller has written its JUnit XML.
        xml = None if hasattr(config, "workerinput") else getattr(config.option, "xmlpath", None)
        try:
            remove_result(self.lab.settings.report, *([Path(xml)] if xml else []))
        except VmlabError as error:
            self._notice(f"cannot remove the results of an earlier run: {error.message}")

    def lend(self, item: pytest.Item, running: Running, shared: SharedGuest | None = None) -> None:
        """Record that a test uses this guest, through `shared` if others use it too; start to watch its kernel log."""
        if running.guest not in item.stash.setdefault(_LENT, {}):
            item.stash[_LENT][running.guest] = Lent(running, shared)
            watch = ItemWatch.begin(self.lab, item, running, shared)
            item.stash.setdefault(_WATCHES, {})[running.guest] = watch

    def say_waiting(self, item: pytest.Item) -> None:
        """Show that a timing test waits for tests in other guests."""
        self.lab.context.progress(f"{item.name}: waiting until no other guest runs, to be timed alone")

    @contextlib.contextmanager
    def shared_guest_at_rest(self) -> Iterator[None]:
        """Pause this process's shared guest during a `with` block."""
        if self.shared is None:
            yield
            return
        with self.shared.at_rest():
            yield

    def watches(self, item: pytest.Item) -> list[ItemWatch]:
        """Return the watches of the guests that a test uses."""
        return list(item.stash.get(_WATCHES, {}).values())

    def take_back(self, item: pytest.Item, guest: Guest) -> None:
        """End a test's use of a guest; raises `KernelTrouble` for a kernel report during fixture teardown."""
        watch = item.stash.get(_WATCHES, {}).pop(guest, None)
        if watch is not None and not self.has_failed(item):
            watch.require_quiet(is_end=True)

    def forget(self, item: pytest.Item) -> None:
        """Drop a test's guests, watches and faults before it is retried."""
        item.stash[_LENT], item.stash[_WATCHES], item.stash[_FAILED] = {}, {}, False
        forget_account(item)

    def require_unbroken(self, item: pytest.Item) -> None:
        """Raise `GivenUp` if the last tests of the target all lost their machine (see `_MOST_LOST`)."""
        target = target_of_item(item)
        lost = self.lab.testbed(target).losses if target is not None else []
        if target is not None and len(lost) >= _MOST_LOST:
            raise GivenUp(f"{target.id} is broken: {_MOST_LOST} tests in a row lost their machine; first: {lost[0]}")

    def mark_dirty(self, item: pytest.Item, why: str, guest: Guest | None = None, *, is_meant: bool = False) -> None:
        """Mark a test's shared guests dirty, or only `guest`: the next test gets a fresh fork. `is_meant` marks dirt
        that is no fault of the target."""
        for lent_guest, lent in _lent_to(item).items():
            if lent.shared is not None and guest in (None, lent_guest):
                lent.shared.mark_dirty(why, is_meant=is_meant)

    def has_failed(self, item: pytest.Item) -> bool:
        return item.stash.get(_FAILED, False)

    def describe(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Add the target, the kernel and the lab's explanation of a fault to a test's report."""
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
            self._notice(f"{item.name}: retried in a fresh guest: {error.message}")
            return
        if report.failed and self.has_failed(item) and isinstance(error, VmlabError):
            # A test has one outcome: errors of its fixtures in the guest that it broke do not count.
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
            # Also if a fixture lost the machine, before or after the test.
            self.mark_dirty(item, error.message)
        elif isinstance(error, ModuleError):
            if isinstance(error, BuildError):
                keep_build_log(error, self.lab.settings.report, _build_name(item))
            fingerprint = error.fingerprint if isinstance(error, KernelTrouble) else ""
            note(item, source=self.lab.source.place(error.source) if error.source else "", fingerprint=fingerprint)
        elif isinstance(error, AssetError | HostError) and not account_of(item).reason:
            # A kernel report takes precedence over faults of the image or the host.
            note(item, outcome=Outcome.UNAVAILABLE)
        is_the_labs = call.when == "setup" or isinstance(error, MachineLost | KernelTrouble | CommandHung)
        if is_the_labs and not item.config.option.fulltrace:
            # A traceback through the lab does not show the fault, and the error's text includes its cause.
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
        """The error, with its details replaced by a reference if an earlier test shows them (e.g. compiler output)."""
        first = self._told.setdefault(str(error), item.nodeid)
        if not error.detail or first == item.nodeid:
            return caught
        retold = error.retold(detail=f"(output shown with {first})")
        return pytest.ExceptionInfo.from_exc_info((type(retold), retold, caught.tb))

    def _keep_guests(self, item: pytest.Item) -> None:
        for guest, lent in _lent_to(item).items():
            machine = lent.running.machine
            try:
                # A guest whose kernel panicked does not answer; only its console is of use.
                machine.require_alive()
                record = machine.keep()
            except VmlabError as error:
                self._notice(f"{item.name}: its guest was not kept: {error.message}; console: {machine.console.path}")
                continue
            self.mark_dirty(item, "it was kept", guest)
            self._notice(kept_notice(item.name, record.name))

    def _with_target(self, account: Account, target: Target, item: pytest.Item, report: pytest.TestReport) -> Account:
        """The account with the known facts about the target that the test ran on."""
        facts = self.lab.testbed(target).facts
        if facts is None:
            return replace(account, target=target.id)
        consoles = [str(lent.running.machine.console.path) for lent in _lent_to(item).values()]
        # A fork has a console log of its own, which is kept if its test failed.
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


def _build_name(item: pytest.Item) -> str:
    target = target_of_item(item)
    return target.id if target is not None else "build"


def _head_summary(reason: str, report: pytest.TestReport) -> None:
    """Put the kernel's report at the start of a test's line in pytest's short summary."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if reason and crash is not None and not crash.message.startswith(reason):
        crash.message = f"{reason}; {crash.message}"


def _lent_to(item: pytest.Item) -> dict[Guest, Lent]:
    return item.stash.get(_LENT, {})


@contextlib.contextmanager
def usage_errors():  # type: ignore[no-untyped-def]
    """Convert the lab's errors to `pytest.UsageError`: one line and exit status 4."""
    try:
        yield
    except VmlabError as error:
        raise pytest.UsageError(f"vmlab: {error.one_line}") from None
