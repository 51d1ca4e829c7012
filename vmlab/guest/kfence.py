# SPDX-License-Identifier: MIT
"""Start KFENCE, which guards a sample of the kernel's allocations with separate pages, in a running guest.

It is not started on the kernel command line. With kfence.sample_interval=1 all 255 guarded objects of a 7.3 kernel
(CONFIG_KFENCE_NUM_OBJECTS) were in use at the login, and no allocation of a module was guarded.
"""

from __future__ import annotations

from vmlab.errors import AssetError, GuestError
from vmlab.guest.guest import Guest

_PARAMETERS = "/sys/module/kfence/parameters"
# `burst` is the number of additional allocations per interval (6.12, commit cc0a0f989558). If more than
# `skip_covered_thresh` percent of the objects are in use, only call sites without one get one, such as a module's.
_START = f"""
set -e
cd {_PARAMETERS}
[ ! -w burst ] || echo 100 >burst
echo 10 >skip_covered_thresh
echo 1 >sample_interval
cat sample_interval
"""


def start_kfence(guest: Guest) -> None:
    """Start KFENCE at its highest rate in a guest's kernel; costs one command.

    Raises `AssetError` when the kernel was built without KFENCE, or refuses to start it.
    """
    try:
        interval = guest.as_root(_START).strip()
    except GuestError as refusal:
        raise AssetError(
            f"the kernel {guest.release} does not start KFENCE: {refusal.message}",
            hint="use a kernel with CONFIG_KFENCE, as debian13's (vmlab targets lists all)",
        ) from None
    if interval != "1":
        raise AssetError(f"the kernel {guest.release} does not start KFENCE: sample_interval is {interval!r}, not '1'")
