# SPDX-License-Identifier: MIT
"""Reason of a module's refusal to load that is not a fault: no hardware, no parameter, no firmware. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vmlab.module.inspect import ModuleInfo

_FIRMWARE = re.compile(r".*(?:Direct firmware load for|failed to load firmware:?) '?(?P<name>[^\s']{1,255})'? failed")
"""Message of _request_firmware() in drivers/base/firmware_loader/main.c, from 5.10 to 7.3."""
_NO_DEVICE = ("No such device", "No such device or address")
"""Texts of ENODEV and ENXIO (strerror(3))."""
_INVALID = ("Invalid parameters", "Invalid argument")
"""Texts of EINVAL: kmod has its own for finit_module()."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A reason as words, and the next thing to type."""

    reason: str
    hint: str


def refusal_of(info: ModuleInfo, *, answer: str, kernel: Sequence[str]) -> Refusal | None:
    """Return the reason of a refusal, from the last words of insmod and the lines that the kernel logged meanwhile.

    None if the module's own code, or the kernel, had another reason.
    """
    said = answer.rstrip().rpartition(": ")[2]
    missing = [match["name"] for line in kernel if (match := _FIRMWARE.match(line)) is not None]
    if missing and said:
        return Refusal(
            reason=f"firmware {missing[-1]!r} is missing",
            hint=f"put it into the tree and name it in vmlab.toml: firmware = ['{missing[-1]}']",
        )
    if said in _NO_DEVICE:
        return Refusal(
            reason=f"it found no device that it drives ({'ENODEV' if said == _NO_DEVICE[0] else 'ENXIO'})",
            hint="the guest has no such hardware; a parameter may make it load without",
        )
    if said in _INVALID and info.parameters:
        names = ", ".join(f"{name} ({kind})" for name, kind in list(info.parameters.items())[:6])
        return Refusal(
            reason=f"{said} (EINVAL)",
            hint=f"its parameters are {names}: @pytest.mark.module_parameters(NAME=VALUE), or parameters in vmlab.toml",
        )
    return None
