# SPDX-License-Identifier: MIT
"""Snapshots of one target's guests: made on first use, kept in the store, resumed from there.

A guest is booted once and frozen when SSH answers (*ready*). It is frozen again with the module's sources and the built
module in it (*built*), and again with the module loaded (*loaded*). No guest has a network before it is frozen.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from vmlab.decode import structure, unstructure
from vmlab.errors import AssetError, HostError, hides_frames
from vmlab.guest.connect import await_booted
from vmlab.guest.fork_check import ForkUnproved, Mark, make_mark
from vmlab.guest.guest import Guest
from vmlab.host.accelerator import Accelerator
from vmlab.host.facts import processor_model
from vmlab.host.kvm import kvm_parameters
from vmlab.lab.machines import Machines, Running
from vmlab.lab.rig import Rig
from vmlab.machine.argv import guest_visible_words
from vmlab.machine.overlay import require_backing
from vmlab.machine.snapshot import SnapshotFiles, freeze
from vmlab.module.build import Built
from vmlab.module.load import bring, insert
from vmlab.module.source import Source
from vmlab.store.store import StoredObject, digest_of

__tracebackhide__ = hides_frames

_DISK_MIB = 512
"""Space for a frozen guest's disk: an estimate of what a boot and a module's build write, not a measurement."""
_SESSION = "pgrep -f '^sshd(-session)?: .*@' >/dev/null"
_REVISION = 6
"""Raised when the preparation of a guest before the freeze changes, so that older snapshots are not used."""


class Stage(StrEnum):
    """The state in which a guest is frozen; each stage starts from the one before."""

    READY = "ready"
    BUILT = "built"
    LOADED = "loaded"


UNUSABLE = (ForkUnproved, AssetError)
"""Errors of a fork that differs from the frozen guest, and of a snapshot that QEMU refuses."""
_BEFORE = {Stage.BUILT: Stage.READY, Stage.LOADED: Stage.BUILT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cargo:
    """The content added to a guest: nothing, the module's sources and build, or these and the loaded module."""

    stage: Stage = Stage.READY
    source: Source | None = None
    built: Built | None = None

    def bring(self, guest: Guest) -> None:
        """Bring a running guest to the stage; raises `ModuleError` if the module does not load."""
        if self.source is not None and self.built is not None:
            bring(guest, self.source, self.built)
            if self.stage is Stage.LOADED:
                insert(guest, self.built)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFacts:
    """Facts stored with a snapshot."""

    target: str
    name: str
    stage: Stage
    release: str
    boot_s: float
    mark: Mark


class Freezer:
    """Makes a target's snapshots and resumes guests from them; each call is one attempt, without a retry."""

    def __init__(self, rig: Rig, machines: Machines) -> None:
        self._rig = rig
        self._machines = machines
        self._context = rig.run.context

    def inputs(self, cargo: Cargo) -> Mapping[str, Any]:
        """Return everything that a snapshot depends on; a difference in any of them makes another snapshot.

        The processor matters under TCG too: a guest calibrates its time stamp counter, which is the host's, only once.
        KVM's part of a machine's state depends on the host's kernel. KVM's module parameters, `enable_pmu` among them,
        change the features of its guests. The guest has received its keys, so their digest is included.
        """
        rig = self._rig
        is_kvm = rig.accelerator.accelerator is Accelerator.KVM
        return {
            "revision": _REVISION,
            "stage": str(cargo.stage),
            "image": rig.image.digest,
            "image_seal": rig.image.seal,
            "keys": rig.keys.digest,
            "qemu": rig.run.qemu_version(rig.target.architecture),
            "machine": guest_visible_words(rig.spec),
            "processor": processor_model(),
            "host_kernel": platform.release() if is_kvm else "",
            "kvm": dict(kvm_parameters()) if is_kvm else {},
            "module": cargo.built.fingerprint if cargo.built else "",
            "source": cargo.source.digest if cargo.source else "",
        }

    def obtain(self, cargo: Cargo) -> StoredObject:
        """Return a snapshot from the store, or make it: costs a boot, and the stage's build and load.

        Raises `ModuleError` if the module does not load, `MachineLost`, and `HostError` if there is no space.
        """
        inputs, target = self.inputs(cargo), self._rig.target
        store, digest = self._context.store, digest_of(inputs)
        try:
            found = store.find("snapshot", inputs)
        except AssetError as error:
            self._context.tell(target.id, "made a new snapshot", error.message)
            store.discard("snapshot", digest)
            found = None
        if found is not None:
            return found
        return store.obtain(
            "snapshot",
            inputs,
            lambda work: self._make(cargo, work, final=store.object_path("snapshot", digest)),
            waiting=lambda: self._context.progress(f"{target.id}: waiting for another run to make this snapshot"),
        )

    @contextlib.contextmanager
    def resume(self, snapshot: StoredObject, *, has_network: bool = False) -> Iterator[Running]:
        """Yield a fork of a snapshot; raises the same errors as `Machines.resume`."""
        files, facts = SnapshotFiles(directory=snapshot.path), facts_of(snapshot)
        origin = files.for_forks(self._rig.image.disk)
        with (
            self._context.store.hold(snapshot.path),
            self._machines.resume(origin, facts.mark, has_network=has_network) as running,
        ):
            self._rig.learn_fork(running.start_s)
            yield running

    def _make(self, cargo: Cargo, work: Path, *, final: Path) -> Mapping[str, Any]:
        files, image, target = SnapshotFiles(directory=work), self._rig.image, self._rig.target
        self._require_room(work)
        with contextlib.ExitStack() as stack:
            if cargo.stage is Stage.READY:
                running = stack.enter_context(self._machines.boot(files.for_making(image.disk)))
                boot_s = running.start_s
                # Freeze an idle guest: wait for boot jobs to finish.
                await_booted(running.guest)
            else:
                before = self.obtain(_before(cargo))
                facts = facts_of(before)
                boot_s = facts.boot_s
                with self._context.store.hold(before.path):
                    files.copy_from(SnapshotFiles(directory=before.path), base=image.disk)
                try:
                    running = stack.enter_context(self._machines.resume(files.for_remaking(image.disk), facts.mark))
                except UNUSABLE:
                    self._context.store.remove(before)
                    raise
                cargo.bring(running.guest)
            self._context.progress(f"{target.id}: freezing the {cargo.stage} guest")
            running.guest.log_out()
            _await_logout(running.guest)
            # What is still in the page cache would be written again by every fork.
            running.guest.as_root("sync")
            mark = make_mark(running.guest)
            freeze(running.machine.monitor, files.state)
        require_backing(files.disk, image.disk)
        files.seal(os.path.relpath(image.disk, final))
        name = " ".join(filter(None, (target.id, cargo.stage, cargo.source.name if cargo.source else "")))
        made = SnapshotFacts(
            target=target.id,
            name=name,
            stage=cargo.stage,
            release=image.release,
            boot_s=boot_s,
            mark=mark,
        )
        return dict(unstructure(made))

    def _require_room(self, directory: Path) -> None:
        """Raise `HostError` if the disk could fill up: QEMU would die without a message when a guest uses memory."""
        needed_mib = self._context.settings.memory_mib + _DISK_MIB
        free_mib = shutil.disk_usage(directory).free // 2**20
        if free_mib < needed_mib:
            raise HostError(
                f"no space left for a snapshot: {free_mib} MiB free in the store, {needed_mib} MiB needed",
                hint="vmlab images prune, or --vmlab-store DIR",
            )


def _before(cargo: Cargo) -> Cargo:
    stage = _BEFORE[cargo.stage]
    return Cargo() if stage is Stage.READY else replace(cargo, stage=stage)


def facts_of(snapshot: StoredObject) -> SnapshotFacts:
    return structure(snapshot.facts, SnapshotFacts, where=f"snapshot {snapshot.digest}")


def _await_logout(guest: Guest) -> None:
    """Wait until no SSH session is left: in a fork its connection would be gone."""
    tries = round(10 * guest.limits.connect_s)
    guest.as_root(f"i=0; while {_SESSION} && [ $i -lt {tries} ]; do i=$((i + 1)); sleep 0.1; done")
