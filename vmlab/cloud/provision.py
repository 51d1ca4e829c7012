# SPDX-License-Identifier: MIT
"""Provisioning: a target's image from a publisher's cloud image.

Make an overlay on the verified disk, boot it by its boot loader with a seed, wait for cloud-init, install the kernel
line, reboot into it, install its headers and compiler, install the lab's files, copy kernel, initrd and tool root out,
boot the result directly, seal it.
"""

from __future__ import annotations

import contextlib
import datetime
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmlab.catalogue.cloud_image import CloudKernel
from vmlab.catalogue.target import Target
from vmlab.cloud.direct_boot import prove_image
from vmlab.cloud.download import DISK, fetch_cloud_image
from vmlab.cloud.firmware_boot import (
    LEAST_DISK_BYTES,
    choose_by_disk,
    own_uefi,
    provisioning_spec,
)
from vmlab.cloud.first_boot import FirstBoot
from vmlab.cloud.http import Web
from vmlab.cloud.install import Installed, Site, install
from vmlab.cloud.lock import LockedImage, lock_of
from vmlab.cloud.recipe import CloudRecipe, load_cloud_recipe
from vmlab.cloud.seed import write_seed
from vmlab.context import Context
from vmlab.errors import AssetError, MachineLost
from vmlab.guest.connect import reach
from vmlab.host.accelerator import Verdict
from vmlab.host.limits import Limits, limits_for
from vmlab.image.image import Draft, Image
from vmlab.image.kernel_file import unpack_kernel
from vmlab.image.keys import make_keys
from vmlab.image.mmdebstrap import fresh_log
from vmlab.image.recipe import write_overlay
from vmlab.image.sealed import draft_image, installed_of_interest, stored_image, unpack_members
from vmlab.machine.accelerators import Accelerators
from vmlab.machine.argv import ExtraDisk
from vmlab.machine.machine import Machine
from vmlab.machine.overlay import flatten, make_overlay
from vmlab.machine.snapshot import Origin
from vmlab.store.store import Store, digest_of
from vmlab.system.scratch import ScratchDirectory

_SCRATCH_MIB = 4096
_OUT, _SEED = "vmlab-out", "vmlab-seed"
_OVERLAY = "overlay.qcow2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Inputs and limits of one provisioning."""

    target: Target
    cloud: CloudKernel
    row: LockedImage
    recipe: CloudRecipe
    disk: Path
    verdict: Verdict
    limits: Limits
    log: Path
    console: Path


def obtain_provisioned(context: Context, accelerators: Accelerators, target: Target, cloud: CloudKernel) -> Image:
    """Return a cloud target's image, from the store or made now: a download, three boots and an installation.

    A stored image needs no connection. Raises `AssetError` when the publisher's image is unavailable or faulty, or its
    package manager fails; `HostError` when this host cannot; `MachineLost` when two guests were lost. No incomplete
    image is left; the output is in the store's logs.
    """
    lock = lock_of(context.settings)
    row = lock.row(cloud.image)
    recipe = load_cloud_recipe(cloud.image.package_manager)

    def build(directory: Path) -> Mapping[str, Any]:
        with Web(patience=context.settings.patience) as web:
            fetched = fetch_cloud_image(cloud.image, context.store, lock=lock, progress=context.progress, web=web)
        with context.store.hold(fetched.path):

            def attempt() -> Mapping[str, Any]:
                work = begin(context, accelerators, target, cloud, row, fetched.file(DISK))
                try:
                    return _twice(context, work, directory)
                except (AssetError, MachineLost) as error:
                    raise _with_log(error, work) from None

            return accelerators.despite_loss(attempt)

    def waiting() -> None:
        context.progress(f"{target.id}: another run is provisioning this image, waiting for it")

    inputs = image_inputs(target, cloud, row, recipe, since=_wanted_since(context.store, target))
    stored = context.store.obtain("image", inputs, build, waiting=waiting)
    return stored_image(target, stored)


def want_anew(store: Store, target: Target) -> None:
    """Have the next run provision a target's image again, from the publisher's locked file.

    The existing image stays until then, and until it is pruned.
    """
    store.remember(_note(target), datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds"))


def _wanted_since(store: Store, target: Target) -> str:
    """Return the time of the last `want_anew`; empty when there was none."""
    note = store.note(_note(target))
    return str(note[0]) if note is not None else ""


def _note(target: Target) -> str:
    return f"wanted-anew-{target.id}"


def image_inputs(
    target: Target, cloud: CloudKernel, row: LockedImage, recipe: CloudRecipe, *, since: str = ""
) -> Mapping[str, Any]:
    """Return everything that such an image depends on: the publisher's file, the target's row, the recipe, and
    `since`, the time of the last `want_anew`. Pure.

    `base` is the digest of the stored file, by which the store finds related objects.
    """
    image = cloud.image
    inputs = {
        "base": digest_of({"algorithm": str(row.algorithm), "digest": row.digest}),
        "cloud": {"kernel": cloud.kernel, "headers": cloud.headers, "compiler": cloud.compiler},
        "image": {"id": image.id, "user": image.user, "firmware": str(image.firmware)},
        "line": target.line,
        "architecture": str(target.architecture),
        "recipe": recipe.digest,
    }
    return inputs | {"since": since} if since else inputs


def begin(
    context: Context, accelerators: Accelerators, target: Target, cloud: CloudKernel, row: LockedImage, disk: Path
) -> Work:
    """Collect what a provisioning needs before its guest starts; chooses the accelerator."""
    verdict = choose_by_disk(context, accelerators, target.architecture, cloud.image.firmware, disk)
    log = fresh_log(context.store, f"image-{target.id}")
    return Work(
        target=target,
        cloud=cloud,
        row=row,
        recipe=load_cloud_recipe(cloud.image.package_manager),
        disk=disk,
        verdict=verdict,
        limits=limits_for(verdict.accelerator, patience=context.settings.patience),
        log=log,
        console=log.with_suffix(".console"),
    )


def _twice(context: Context, work: Work, directory: Path) -> Mapping[str, Any]:
    """Make the image; retried once when a guest is lost, which is not a fault of the image."""

    def attempt() -> Mapping[str, Any]:
        _empty(directory)
        return _make(context, work, directory)

    return context.retry_lost(work.target.id, "a guest was lost while it was provisioned", attempt)


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _make(context: Context, work: Work, directory: Path) -> Mapping[str, Any]:
    target, image = work.target, work.cloud.image
    started = time.monotonic()
    work.log.write_text(f"{target.id}: {image.id}, {work.row.name}, {work.row.digest}\n", encoding="utf-8")
    with ScratchDirectory(needed_mib=_SCRATCH_MIB, what="provisioning") as scratch:
        installed = install_in_guest(context, work, directory / _OVERLAY, scratch)
        context.progress(f"{target.id}: unpacking its compiler")
        unpack_members(scratch / _OUT, directory)
    facts = _seal(context, work, installed, directory)
    with work.log.open("a", encoding="utf-8") as log:
        log.write(f"made in {time.monotonic() - started:.0f} s\n")
    shutil.copyfile(work.log, directory / "provisioning.log")
    shutil.copyfile(work.console, directory / "provisioning.console")
    return facts


def install_in_guest(context: Context, work: Work, overlay: Path, scratch: Path) -> Installed:
    """Provision the guest: afterwards the overlay is ready to be sealed, and the second disk is written."""
    limits = work.limits
    archive, script = scratch / "settlement.tar", scratch / "guest.sh"
    write_overlay(archive, work.recipe.overlay)
    script.write_text(work.recipe.script, encoding="utf-8")
    with first_guest(context, work, overlay, scratch) as site:
        site.guest.await_cloud_init(timeout_s=limits.first_boot_s, command_s=limits.command_s)
        installed = install(site, scripts=[script], archive=archive, device=f"/dev/disk/by-id/virtio-{_OUT}")
        context.progress(f"{work.target.id}: powering off")
        site.guest.power_off(timeout_s=limits.boot_s, command_s=limits.command_s)
    return installed


@contextlib.contextmanager
def first_guest(context: Context, work: Work, overlay: Path, scratch: Path) -> Iterator[Site]:
    """Yield a guest at its first boot, on a publisher's disk, for the length of a `with` block.

    Its disk's writes go to `overlay`, those of its second disk to `vmlab-out` in `scratch`. It has a network. Its keys
    are new, and lost with `scratch`: what is left of them in the disk, in deleted files and logs, opens nothing.
    """
    target, keys, firmware = work.target, make_keys(scratch), work.cloud.image.firmware
    seed, out = scratch / "seed.iso", scratch / _OUT
    make_overlay(work.disk, overlay, least_bytes=LEAST_DISK_BYTES)
    write_seed(seed, keys, user=work.cloud.image.user, instance=f"vmlab-{time.time_ns()}")
    with out.open("wb") as file:
        file.truncate(LEAST_DISK_BYTES)
    work.console.unlink(missing_ok=True)
    spec = provisioning_spec(
        context.settings, target.architecture, work.verdict, own_uefi(target.architecture, firmware, scratch)
    )
    context.progress(f"{target.id}: booting {work.cloud.image.id} by {firmware} ({spec.accelerator})")
    machine = Machine(
        Draft(target_id=target.id, disk=work.disk),
        spec,
        console=work.console,
        keys=keys,
        origin=Origin(base=work.disk, overlay=overlay),
        room_timeout_s=work.limits.room_s,
        extra=(ExtraDisk(file=seed, serial=_SEED, is_read_only=True), ExtraDisk(file=out, serial=_OUT)),
        monitor_s=work.limits.monitor_s,
        has_network=True,  # its package manager downloads
        notice=context.notice,
    )
    with machine, contextlib.closing(_first_boot(context, work, machine)) as guest:
        yield Site(
            guest=guest,
            target=target,
            cloud=work.cloud,
            recipe=work.recipe,
            limits=work.limits,
            serial=spec.board.console,
            progress=context.progress,
            notice=context.notice,
        )


def _first_boot(context: Context, work: Work, machine: Machine) -> FirstBoot:
    limits, user = work.limits, work.cloud.image.user
    return FirstBoot(
        lambda: reach(machine, limits.first_boot_s, limits, user=user, is_first_boot=True),
        name=work.target.id,
        console=machine.console,
        require_alive=machine.require_alive,
        has_powered_off=machine.has_powered_off,
        return_s=2 * limits.command_s,
        notice=context.notice,
        log=work.log,
    )


def _seal(context: Context, work: Work, installed: Installed, directory: Path) -> Mapping[str, Any]:
    """Make the object's files from the guest's disks, and prove that they boot."""
    target, image, row = work.target, work.cloud.image, work.row
    context.progress(f"{target.id}: writing its disk")
    flatten(directory / _OVERLAY, directory / "disk.qcow2", base=work.disk)
    (directory / _OVERLAY).unlink()
    unpack_kernel(directory / "kernel", target.architecture)
    boot = directory / "tools" / "boot"
    boot.mkdir(exist_ok=True)
    (directory / "config").rename(boot / f"config-{installed.release}")
    facts = {
        "target": target.id,
        "release": installed.release,
        "packages": installed_of_interest(directory / "packages"),
        "root": installed.root,
        "compiler": installed.compiler,
        "cloud_image": f"{image.id}: {row.name}, {row.algorithm} {row.digest}",
    }
    draft = draft_image(target, directory, facts)
    prove_image(context, target, draft, work.verdict, work.limits, console=work.console.with_suffix(".direct-console"))
    return facts


def _with_log(error: AssetError | MachineLost, work: Work) -> AssetError | MachineLost:
    """Return the same error with the paths of the guest's output."""
    kept = f"its full output is in {work.log}, its console in {work.console.name} beside it"
    return error.retold(detail=f"{error.detail}\n{kept}".strip())
