# SPDX-License-Identifier: MIT
"""Forks of frozen guests: a fresh kernel for every test, for a second instead of a boot.

A target's guest is booted once, frozen when its SSH answers (*ready*), frozen again with the module's sources and the
module built from them in it (*built*), and again with the module inserted (*loaded*). Each is a snapshot in the store;
a fork goes on from one, on memory and a disk of its own.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from vmlab.catalogue.target import Boot, Target
from vmlab.decode import structure, unstructure
from vmlab.errors import AssetError, HostError, KvmRefused, MachineLost, ModuleError, VmlabError, hides_frames
from vmlab.guest.connect import await_booted, reach
from vmlab.guest.fork_check import ForkUnproved, Mark, make_mark, prove_fork
from vmlab.guest.guest import Guest
from vmlab.guest.transport import LateTransport
from vmlab.host.accelerator import Accelerator
from vmlab.host.facts import processor_model
from vmlab.host.kvm import kvm_parameters
from vmlab.lab.lab import Lab, Running
from vmlab.machine.argv import guest_visible_words
from vmlab.machine.snapshot import Origin, SnapshotFiles, freeze
from vmlab.module.build import Built
from vmlab.module.load import bring, insert
from vmlab.store.store import StoredObject, digest_of
from vmlab.system.naming import told_of

__tracebackhide__ = hides_frames

_MOST_FAILURES = 2
_DISK_MIB = 512
"""Room for a frozen guest's disk: a margin for what a boot and a module's build write, not a measurement."""
_SESSION = "pgrep -f '^sshd(-session)?: .*@' >/dev/null"
_REVISION = 2
"""Raised when what is done to a guest before it is frozen changes: snapshots made the old way are then not taken."""


class Stage(StrEnum):
    """How far a guest was taken before it was frozen; each begins with the one before."""

    READY = "ready"
    BUILT = "built"
    LOADED = "loaded"


_WRONG = (ForkUnproved, AssetError)
"""A fork that is not what it should be, or a snapshot that QEMU does not take."""
_BEFORE = {Stage.BUILT: Stage.READY, Stage.LOADED: Stage.BUILT}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What is remembered with a snapshot."""

    target: str
    name: str
    stage: Stage
    release: str
    boot_s: float
    mark: Mark


class Forks:
    """Makes snapshots when they are first asked for, and forks from them.

    What does not work for a target twice in a row is not tried again: its guests are booted, and the run says so.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._failures: dict[str, int] = {}
        self._refusals: dict[tuple[str, Stage], ModuleError | MachineLost] = {}

    @contextlib.contextmanager
    def fork(self, target: Target, stage: Stage = Stage.READY) -> Iterator[Running]:
        """A guest of its own for the length of a `with` block, gone on from a snapshot of that stage.

        Costs a second or two under TCG, and the making of the snapshot the first time: a boot, and for the module's
        stages its build. A fork that is not what it should be is replaced by a boot, and said. Raises `ModuleError`
        when the module does not build or load, each time it is asked for; `MachineLost` when boots are lost.
        """
        self.lab.image(target)  # without one there is nothing to fork and nothing to boot
        with contextlib.ExitStack() as stack:
            running = None
            if self._failures.get(target.id, 0) < _MOST_FAILURES:
                running = self._try_fork(target, stage, stack)
            if running is None:
                running = stack.enter_context(self.booted(target, stage))
            yield running

    @contextlib.contextmanager
    def booted(self, target: Target, stage: Stage = Stage.READY) -> Iterator[Running]:
        """The same out of a real boot, for the length of a `with` block."""
        with self.lab.boot(target) as running:
            self._bring(running.guest, target, stage)
            yield running

    def built(self, target: Target) -> Built:
        """The module built for a target, from the cache or now; where that takes a guest, one is forked for it.

        Raises `BuildError` when it does not compile or does not fit, each time it is asked for.
        """
        with contextlib.ExitStack() as stack:
            return self.lab.build(target, lambda: stack.enter_context(self.fork(target)).guest)

    def _try_fork(self, target: Target, stage: Stage, stack: contextlib.ExitStack) -> Running | None:
        # A snapshot of a guest under KVM is no emulated one's: when KVM is lost, another is made.
        return self.lab.accelerators.despite_loss(lambda: self._try_fork_once(target, stage, stack))

    def _try_fork_once(self, target: Target, stage: Stage, stack: contextlib.ExitStack) -> Running | None:
        try:
            snapshot = self.obtain(target, stage)
        except KvmRefused:
            raise
        except HostError as error:
            self._failures[target.id] = _MOST_FAILURES
            self.lab.notice(told_of(target.id, "guests are booted, since no snapshot can be made", error.message))
            return None
        except _WRONG as error:
            self._give_up(target, error)
            return None
        try:
            running = stack.enter_context(self._fork(target, snapshot))
        except (*_WRONG, MachineLost) as error:
            # Made anew it may be better; held by another run it stays for that one.
            self.lab.store.remove(snapshot)
            self._give_up(target, error)
            return None
        self._failures[target.id] = 0
        return running

    def _give_up(self, target: Target, error: VmlabError) -> None:
        self._failures[target.id] = self._failures.get(target.id, 0) + 1
        self.lab.learn_discarded_fork(target, error.message)

    @contextlib.contextmanager
    def _fork(self, target: Target, snapshot: StoredObject) -> Iterator[Running]:
        facts = structure(snapshot.facts, _Facts, where=f"snapshot {snapshot.digest}")
        files = SnapshotFiles(directory=snapshot.path)
        with self.lab.store.hold(snapshot.path), self._go_on(target, files.for_forks(), facts.mark) as running:
            self.lab.learn_fork(target, running.start_s)
            yield running

    @contextlib.contextmanager
    def _go_on(self, target: Target, origin: Origin, mark: Mark) -> Iterator[Running]:
        """A proved guest out of a frozen one's files."""
        image = self.lab.image(target)
        limits = self.lab.limits(target)
        with self.lab.machine(target, origin) as machine:
            # The login is the longer half, and the proof needs another processor of the guest.
            late = LateTransport(lambda: reach(machine, image, limits.connect_s, limits))
            guest = self.lab.guest(target, machine, late, has_line=True, log_position=mark.log_position)
            with contextlib.closing(guest):
                prove_fork(guest, mark, has_real_time=target.boot is not Boot.ICOUNT)
                transport = late.settle()
                yield Running(
                    target=target,
                    guest=guest,
                    machine=machine,
                    start_s=time.monotonic() - machine.started,
                    open_shell=transport.interact,
                    is_fork=True,
                )

    # --- making snapshots

    def obtain(self, target: Target, stage: Stage) -> StoredObject:
        """A target's snapshot, from the store or made now: a boot, and what its stage takes.

        Raises `ModuleError` when the module does not build or load and `MachineLost` when two guests were lost over it,
        each time it is asked for; `HostError` when there is no room.
        """
        refusal = self._refusals.get((target.id, stage))
        if refusal is not None:
            raise refusal
        try:
            return self._obtain_once(target, stage)
        except ModuleError as error:
            self._refusals[target.id, stage] = error
            raise
        except MachineLost as lost:
            self.lab.notice(
                told_of(target.id, "a guest was lost while it was made ready, and tried again", lost.message)
            )
        try:
            return self._obtain_once(target, stage)
        except (MachineLost, ModuleError) as error:
            self._refusals[target.id, stage] = error
            raise

    def _obtain_once(self, target: Target, stage: Stage) -> StoredObject:
        inputs = self.inputs(target, stage)
        store, digest = self.lab.store, digest_of(inputs)
        try:
            found = store.find("snapshot", inputs)
        except AssetError as error:
            self.lab.notice(told_of(target.id, "made a snapshot anew", error.message))
            store.discard("snapshot", digest)
            found = None
        if found is not None:
            return found
        return store.obtain(
            "snapshot",
            inputs,
            lambda work: self._make(target, stage, work, final=store.object_path("snapshot", digest)),
            waiting=lambda: self.lab.progress(f"{target.id}: another run is making this snapshot, waiting for it"),
        )

    def inputs(self, target: Target, stage: Stage = Stage.READY) -> Mapping[str, Any]:
        """Everything that a snapshot depends on: where one of these differs, it is not the same snapshot.

        The processor counts under TCG too: a guest measures once how fast its time stamp counter runs, which is the
        host's, and believes it from then on. The host's kernel is what KVM's part of a machine's state comes from, and
        KVM's settings, which change when it is loaded anew, say what its guests have: `enable_pmu` among them.
        """
        image = self.lab.image(target)
        is_kvm = self.lab.accelerator(target).accelerator is Accelerator.KVM
        built = self.built(target) if stage is not Stage.READY else None
        return {
            "revision": _REVISION,
            "stage": str(stage),
            "image": image.digest,
            "image_seal": image.seal,
            "qemu": self.lab.qemu_version(target.architecture),
            "machine": guest_visible_words(self.lab.spec(target)),
            "processor": processor_model(),
            "host_kernel": platform.release() if is_kvm else "",
            "kvm": dict(kvm_parameters()) if is_kvm else {},
            "module": built.sha256 if built else "",
            "source": self.lab.source.digest if built else "",
        }

    def _make(self, target: Target, stage: Stage, work: Path, *, final: Path) -> Mapping[str, Any]:
        files = SnapshotFiles(directory=work)
        image = self.lab.image(target)
        self._require_room(work)
        with contextlib.ExitStack() as stack:
            if stage is Stage.READY:
                running = stack.enter_context(self.lab.boot_once(target, files.for_making(image.disk)))
                boot_s = running.start_s
                # What is frozen does nothing of its own.
                await_booted(running.guest)
            else:
                before = self.obtain(target, _BEFORE[stage])
                facts = structure(before.facts, _Facts, where=f"snapshot {before.digest}")
                boot_s = facts.boot_s
                with self.lab.store.hold(before.path):
                    files.copy_from(SnapshotFiles(directory=before.path), base=image.disk)
                try:
                    running = stack.enter_context(self._go_on(target, files.for_remaking(image.disk), facts.mark))
                except _WRONG:
                    self.lab.store.remove(before)
                    raise
                self._bring(running.guest, target, stage)
            self.lab.progress(f"{target.id}: freezing it {stage}")
            running.guest.log_out()
            _await_logout(running.guest)
            mark = make_mark(running.guest)
            freeze(running.machine.monitor, files.state)
        files.seal(os.path.relpath(image.disk, final))
        module = self.lab.source.name if stage is not Stage.READY else ""
        name = f"{target.id} {stage} {module}".strip()
        made = _Facts(target=target.id, name=name, stage=stage, release=image.release, boot_s=boot_s, mark=mark)
        return dict(unstructure(made))

    def _require_room(self, directory: Path) -> None:
        """A disk that fills while a guest writes to its memory kills the guest without a word."""
        needed_mib = self.lab.settings.memory_mib + _DISK_MIB
        free_mib = shutil.disk_usage(directory).free // 2**20
        if free_mib < needed_mib:
            raise HostError(
                f"no space left for a snapshot: {free_mib} MiB free in the store, making one takes {needed_mib}",
                hint="vmlab images prune, or --vmlab-store DIR",
            )

    def _bring(self, guest: Guest, target: Target, stage: Stage) -> None:
        """Take a guest that runs to a stage."""
        if stage is Stage.READY:
            return
        built = self.built(target)
        bring(guest, self.lab.source, built)
        if stage is Stage.LOADED:
            insert(guest, built)


def _await_logout(guest: Guest) -> None:
    """Wait until no SSH session is left that would wake up in a fork to a connection that is gone."""
    tries = round(10 * guest.limits.connect_s)
    guest.as_root(f"i=0; while {_SESSION} && [ $i -lt {tries} ]; do i=$((i + 1)); sleep 0.1; done")
