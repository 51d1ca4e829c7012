# SPDX-License-Identifier: MIT
"""Direct boot of an image before it is sealed, to prove that kernel and guest work."""

from __future__ import annotations

import contextlib
from pathlib import Path

from vmlab.catalogue.target import Target
from vmlab.context import Context
from vmlab.errors import AssetError, MachineLost
from vmlab.guest.connect import reach
from vmlab.guest.transport import CommandTooSlow, TransportLost
from vmlab.host.accelerator import Verdict
from vmlab.host.limits import Limits
from vmlab.image.image import Image
from vmlab.image.keys import make_keys
from vmlab.machine.argv import MachineSpec, machine_spec
from vmlab.machine.machine import Machine
from vmlab.system.scratch import ScratchDirectory

_QUESTION = "uname -r; test -w /build && sudo -n true; echo $?"


def prove_image(
    context: Context, target: Target, image: Image, verdict: Verdict, limits: Limits, *, console: Path
) -> None:
    """Boot an image that is about to be sealed, in the same way as later guests; its writes are discarded.

    A lost boot is retried once, with a notice. Raises `AssetError` when the guest does not boot, runs another kernel
    than requested, or lacks the lab's user, /build or sudo.
    """
    spec = machine_spec(
        image,
        verdict.accelerator,
        cpus=context.settings.cpus,
        memory_mib=context.settings.memory_mib,
        cpu_model=verdict.cpu_model,
        kernel_parameters=target.kernel_parameters,
    )
    context.progress(f"{target.id}: booting the new image directly")
    what = "the first direct boot of its image was lost"
    try:
        answer = context.retry_lost(target.id, what, lambda: ask_guest(image, spec, limits, console))
    except MachineLost as again:
        raise AssetError(
            f"{target.id}: the image made from its cloud image does not boot when QEMU starts its kernel directly",
            hint="see the console below",
            detail=f"{again.message}\n{again.detail}",
        ) from None
    require_answer(target.id, image.release, answer)


def require_answer(name: str, release: str, answer: str) -> None:
    """Raise `AssetError` when a directly booted guest answers with another release, or an error. Pure."""
    if answer.split() != [release, "0"]:
        raise AssetError(
            f"{name}: unexpected answer from the directly booted guest: {' '.join(answer.split())!r}",
            hint=f"expected {release!r}, and 0 for a writable /build and sudo without a password",
        )


def ask_guest(image: Image, spec: MachineSpec, limits: Limits, console: Path) -> str:
    """Return the guest's answer over SSH as the ordinary user; root's connection must open as well."""
    console.unlink(missing_ok=True)
    with ScratchDirectory(needed_mib=1, what="a guest's keys") as scratch:
        machine = Machine(
            image,
            spec,
            console=console,
            keys=make_keys(scratch),
            room_timeout_s=limits.room_s,
            monitor_s=limits.monitor_s,
        )
        try:
            with machine, contextlib.closing(reach(machine, limits.boot_s, limits)) as user:
                answer = user.run(_QUESTION, timeout_s=limits.command_s).stdout
                reach(machine, limits.boot_s, limits, user="root").close()
        except (CommandTooSlow, TransportLost) as error:
            raise MachineLost(f"the guest was lost: {error}", detail=machine.console.tail()) from None
    return answer
