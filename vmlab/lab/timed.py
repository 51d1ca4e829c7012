# SPDX-License-Identifier: MIT
"""Guests for timing, each with the best timing source that is proved in it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vmlab.catalogue.target import Target
from vmlab.errors import HostError, UsageError, hides_frames
from vmlab.host.accelerator import Accelerator
from vmlab.lab.freezer import Stage
from vmlab.lab.lab import Lab
from vmlab.lab.machines import Running
from vmlab.lab.testbed import Testbed
from vmlab.module.source import read_programs
from vmlab.settings import AcceleratorChoice, Settings, TimingChoice
from vmlab.timing.series import TimingSource
from vmlab.timing.source import Proof, boot_for, order, prove, why_not
from vmlab.timing.stopwatch import PROGRAM, Stopwatch

__tracebackhide__ = hides_frames


class SourceUnusable(HostError):
    """None of the requested timing sources counts on this host; the message gives the reason for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A guest and a stopwatch that is proved in it."""

    running: Running
    stopwatch: Stopwatch
    refused: tuple[Proof, ...]
    """Better sources that were refused, each with the reason."""


@contextlib.contextmanager
def fork_timed(
    lab: Lab,
    target: Target,
    stage: Stage = Stage.READY,
    *,
    accepted: Iterable[TimingSource] = (),
    has_network: bool | None = None,
) -> Iterator[Timed]:
    """Yield a fork that can be timed, with the timing source from the settings, else the best one.

    `accepted` are the sources that the caller accepts; empty means any. `has_network` is as in `Testbed.boot`. Raises
    `SourceUnusable`, with the reason for each source, if all are refused. Costs a fork and the proof, some seconds; the
    first time also a boot, for the exact sources under `-icount`, 30 s or more.
    """
    testbed, refused = lab.testbed(target), list[Proof]()
    choice = lab.settings.timing
    wanted = None if choice is TimingChoice.AUTO else TimingSource(choice)
    for source in order(wanted, accepted):
        variant = lab.testbed(target.started(boot_for(source, target.boot)))
        known = testbed.unusable_sources.get(source) or _refusal(testbed, variant, source)
        with contextlib.ExitStack() as stack:
            if known is None:
                running = stack.enter_context(variant.fork(stage, has_network=has_network))
                watch = _stopwatch(variant, running, source)
                known = prove(watch)
            if known.is_had:
                watch = dataclasses.replace(watch, proof=known.fact)
                yield Timed(running=running, stopwatch=watch, refused=tuple(refused))
                return
        testbed.unusable_sources[source] = known
        refused.append(known)
    raise SourceUnusable(
        f"{target.id} cannot be timed as asked: {'; '.join(map(str, refused))}" if refused else _NOTHING,
        hint="--vmlab-timing auto takes the best source that counts here",
    )


def require_possible(settings: Settings, targets: Iterable[Target]) -> None:
    """Raise `UsageError` if the timing source from the settings is impossible on every target."""
    if settings.timing is TimingChoice.AUTO:
        return
    # KVM is not proved yet: assume it works, unless the settings exclude it.
    host = Accelerator.TCG if settings.accel is AcceleratorChoice.TCG else Accelerator.KVM
    reasons = {why_not(TimingSource(settings.timing), target.architecture, host, target.boot) for target in targets}
    if reasons and "" not in reasons:
        raise UsageError(
            f"--vmlab-timing {settings.timing} is not possible: {'; '.join(sorted(reasons))}",
            hint="--vmlab-timing auto takes the best source that counts here",
        )


def _refusal(testbed: Testbed, variant: Testbed, source: TimingSource) -> Proof | None:
    """Return the reason why a source cannot count on a target; None if only a proof in a guest can tell."""
    target = testbed.target
    fact = why_not(source, target.architecture, testbed.rig.host_verdict.accelerator, target.boot)
    if not fact:
        try:
            _ = variant.rig.spec
        except HostError as error:
            fact = error.message
    return Proof(source=source, is_had=False, fact=fact) if fact else None


def _stopwatch(variant: Testbed, running: Running, source: TimingSource) -> Stopwatch:
    program = variant.program(PROGRAM.name, tree=read_programs(PROGRAM.parent))
    path = f"/tmp/{PROGRAM.stem}-{program.parent.name}"
    running.guest.put(program, path)
    provenance = dataclasses.replace(
        variant.rig.provenance,
        timing_source=str(source),
        boot=running.guest.as_root("cat /proc/sys/kernel/random/boot_id").strip(),
    )
    return Stopwatch(guest=running.guest, program=path, source=source, target=variant.target.id, provenance=provenance)


_NOTHING = "this test does not accept the timing source of --vmlab-timing"
