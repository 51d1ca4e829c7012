# SPDX-License-Identifier: MIT
"""Conversion of splats, or of missing evidence, to an error."""

from __future__ import annotations

from collections.abc import Sequence

from vmlab.errors import CommandHung, EmulatorFault, GuestError, KernelTrouble, hides_frames
from vmlab.guest.guest import Guest
from vmlab.klog.emulator_fault import emulator_fault
from vmlab.klog.findings import Findings
from vmlab.klog.splat import Splat, describe, whole
from vmlab.klog.verdict import source_of
from vmlab.machine.console import TAIL_HEADING

__tracebackhide__ = hides_frames

_STALLS = ("soft lockup", "hard lockup", "RCU stall", "hung task", "workqueue lockup")


def as_error(
    reason: str, splats: Sequence[Splat], failure: BaseException | None = None, *, guest: Guest | None = None
) -> KernelTrouble | EmulatorFault:
    """Error with a kernel's splats, and the failure that they caused.

    The message ends with the position in the module's source, so that both appear above a long report. If a command
    hung and the kernel only reported that stall, the message is the hang's. Returns `EmulatorFault` if the emulator
    broke the `guest`; to detect that for a stall takes a second.
    """
    hung = failure if isinstance(failure, CommandHung) and _are_stalls(splats) else None
    after = f"\n\nand then: {_without_console(failure)}" if failure is not None else ""
    detail = shown(splats) + after if hung is None else f"{reason}\n\n{shown(splats)}\n\n{hung.detail}"
    if guest is not None:
        lines = [record.text for splat in splats for each in whole(splat) for record in each.records]
        place = guest.broken_by_emulator(lines, is_stalled=any(splat.kind in _STALLS for splat in splats))
        if place:
            return emulator_fault(place, detail=detail)
    source = source_of(splats) if hung is None else hung.source or source_of(splats)
    message = reason if hung is None else hung.message
    error = KernelTrouble(message if not source or source in message else f"{message} at {source}", detail=detail)
    error.fingerprint = splats[0].fingerprint if splats else ""
    error.source = source
    return error


def shown(splats: Sequence[Splat]) -> str:
    """Return the text of splats; of the stalls, which the kernel reports again and again, only the first."""
    stalls = [splat for splat in splats if splat.kind in _STALLS]
    told = describe(splat for splat in splats if splat not in stalls[1:])
    more = len(stalls) - 1
    return told if more < 1 else f"{told}\n\n… and {more} more report{'s' if more > 1 else ''} of the stall"


def _are_stalls(splats: Sequence[Splat]) -> bool:
    return all(each.kind in _STALLS for splat in splats for each in whole(splat))


def require_checked(findings: Findings) -> None:
    """Raise `GuestError` if a kernel report may be missing from the findings, because the kernel printed too much."""
    if findings.unchecked:
        raise GuestError(
            f"{findings.unchecked}: a report may be in the part that is missing",
            hint="have the module print less in one test, for example with pr_info_ratelimited()",
            detail="\n".join(findings.notes),
        )


def _without_console(failure: BaseException) -> str:
    """Text of a failure without the console's tail, because the splats are already shown."""
    return str(failure).partition(f"\n{TAIL_HEADING}")[0]
