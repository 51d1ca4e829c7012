# SPDX-License-Identifier: MIT
"""KFENCE, which guards a sample of a kernel's allocations with pages of their own, started in a guest that is up.

Not by the kernel's command line: the kernels' 255 guarded objects (CONFIG_KFENCE_NUM_OBJECTS) were all taken when a
7.3 that was booted with kfence.sample_interval=1 let one log in, and no allocation of a module was guarded any more.
"""

from __future__ import annotations

from vmlab.errors import AssetError, GuestError
from vmlab.guest.guest import Guest

_PARAMETERS = "/sys/module/kfence/parameters"
# `burst` allocations more each interval (6.12, commit cc0a0f989558). Above `skip_covered_thresh` percent of the objects
# in use, only allocations from places in the code that have none: a module's own are among those.
_START = f"""
set -e
cd {_PARAMETERS}
[ ! -w burst ] || echo 100 >burst
echo 10 >skip_covered_thresh
echo 1 >sample_interval
cat sample_interval
"""


def start_kfence(guest: Guest) -> None:
    """Have a guest's kernel guard as many of its allocations as KFENCE can; costs a command.

    Raises `AssetError` when the kernel was built without it, or refuses.
    """
    try:
        interval = guest.as_root(_START).strip()
    except GuestError as refusal:
        raise AssetError(
            f"the kernel {guest.release} does not start KFENCE: {refusal.message}",
            hint="vmlab targets lists kernels; debian13's are built with CONFIG_KFENCE",
        ) from None
    if interval != "1":
        raise AssetError(f"the kernel {guest.release} does not start KFENCE: its interval is {interval!r}")
