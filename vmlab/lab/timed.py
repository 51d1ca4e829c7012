# SPDX-License-Identifier: MIT
"""Guests in which an operation can be timed, each by the best source that is proved in it."""

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
    """No source that was asked for counts on this host; the message has the fact for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A guest of its own and the stopwatch that is proved in it."""

    running: Running
    stopwatch: Stopwatch
    refused: tuple[Proof, ...]
    """The better sources that could not be had, each with why."""


@contextlib.contextmanager
def fork_timed(
    lab: Lab, target: Target, stage: Stage = Stage.READY, *, accepted: Iterable[TimingSource] = ()
) -> Iterator[Timed]:
    """A fork that can be timed, for the length of a `with` block: by what the settings ask for, else the best source.

    `accepted` are the sources that its user can do with; none means any. Raises `SourceUnusable` with the fact for
    each when none is had. Costs a fork and its proof, some seconds; the first time also a boot, for the exact sources
    one under `-icount`, half a minute or more.
    """
    testbed, refused = lab.testbed(target), list[Proof]()
    choice = lab.settings.timing
    wanted = None if choice is TimingChoice.AUTO else TimingSource(choice)
    for source in order(wanted, accepted):
        variant = lab.testbed(target.started(boot_for(source, target.boot)))
        known = testbed.unusable_sources.get(source) or _refusal(testbed, variant, source)
        with contextlib.ExitStack() as stack:
            if known is None:
                running = stack.enter_context(variant.fork(stage))
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
        hint="--vmlab-timing auto takes the best that counts here",
    )


def require_possible(settings: Settings, targets: Iterable[Target]) -> None:
    """Raise `UsageError` when the source that the settings demand is out of the question for every target."""
    if settings.timing is TimingChoice.AUTO:
        return
    # Whether KVM runs a kernel is not known yet, but when it is not wanted it is not had.
    host = Accelerator.TCG if settings.accel is AcceleratorChoice.TCG else Accelerator.KVM
    reasons = {why_not(TimingSource(settings.timing), target.architecture, host, target.boot) for target in targets}
    if reasons and "" not in reasons:
        raise UsageError(
            f"--vmlab-timing {settings.timing} cannot be had: {'; '.join(sorted(reasons))}",
            hint="--vmlab-timing auto takes the best that counts here",
        )


def _refusal(testbed: Testbed, variant: Testbed, source: TimingSource) -> Proof | None:
    """Why a source cannot count on a target, known without a guest; None when only a guest can tell."""
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


_NOTHING = "this test accepts none of the sources that were asked for"
