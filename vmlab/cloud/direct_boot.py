# SPDX-License-Identifier: MIT
"""The proof before an image is sealed: its kernel is started directly, and its guest is the lab's."""

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
from vmlab.machine.argv import MachineSpec, machine_spec
from vmlab.machine.machine import Machine

_QUESTION = "uname -r; test -w /build && sudo -n true; echo $?"


def prove_image(
    context: Context, target: Target, image: Image, verdict: Verdict, limits: Limits, *, console: Path
) -> None:
    """Boot an image that is about to be sealed, as every later guest of it will be; what it writes is thrown away.

    A boot that is lost is tried once more, and said. Raises `AssetError` when it does not come up, comes up with
    another kernel than the one that was asked for, or without what the lab's user has in every guest.
    """
    spec = machine_spec(
        image,
        verdict.accelerator,
        cpus=context.settings.cpus,
        memory_mib=context.settings.memory_mib,
        cpu_model=verdict.cpu_model,
        kernel_parameters=target.kernel_parameters,
    )
    context.progress(f"{target.id}: booting what came out, directly")
    what = "the first direct boot of its image was lost"
    try:
        answer = context.retry_lost(target.id, what, lambda: _answer(image, spec, limits, console))
    except MachineLost as again:
        raise AssetError(
            f"{target.id}: what was made of its cloud image does not come up when its kernel is started directly",
            hint="its console is below",
            detail=f"{again.message}\n{again.detail}",
        ) from None
    require_answer(target.id, image.release, answer)


def require_answer(name: str, release: str, answer: str) -> None:
    """Raise `AssetError` when a guest that was booted directly is not what was made. Pure."""
    if answer.split() != [release, "0"]:
        raise AssetError(
            f"{name}: started directly, its guest is not what was made: it answers {' '.join(answer.split())!r}",
            hint=f"it should be {release!r}, and 0 for a writable /build and sudo without a password",
        )


def _answer(image: Image, spec: MachineSpec, limits: Limits, console: Path) -> str:
    """What its guest says over the lab's connection as the ordinary user; root's must open as well."""
    console.unlink(missing_ok=True)
    machine = Machine(image, spec, console=console, room_timeout_s=limits.room_s, monitor_s=limits.monitor_s)
    try:
        with machine, contextlib.closing(reach(machine, image, limits.boot_s, limits)) as user:
            answer = user.run(_QUESTION, timeout_s=limits.command_s).stdout
            reach(machine, image, limits.boot_s, limits, user="root").close()
    except (CommandTooSlow, TransportLost) as error:
        raise MachineLost(f"the guest was lost: {error}", detail=machine.console.tail()) from None
    return answer
