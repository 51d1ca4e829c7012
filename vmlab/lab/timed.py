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
from vmlab.lab.lab import Running
from vmlab.lab.snapshots import Forks, Stage
from vmlab.module.source import read_programs
from vmlab.settings import AcceleratorChoice, TimingChoice
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


class TimedGuests:
    """Finds each target's best source once, and proves it again in every guest."""

    def __init__(self, forks: Forks) -> None:
        self._forks = forks
        self._lab = forks.lab
        self._refused: dict[tuple[str, TimingSource], Proof] = {}

    @contextlib.contextmanager
    def fork(
        self, target: Target, stage: Stage = Stage.READY, *, accepted: Iterable[TimingSource] = ()
    ) -> Iterator[Timed]:
        """A fork that can be timed, for the length of a `with` block: by what the settings ask for, else the best.

        `accepted` are the sources that its user can do with; none means any. Raises `SourceUnusable` with the fact for
        each when none is had. Costs a fork and its proof, some seconds; the first time also a boot, for the exact
        sources one under `-icount`, half a minute or more.
        """
        refused: list[Proof] = []
        choice = self._lab.settings.timing
        wanted = None if choice is TimingChoice.AUTO else TimingSource(choice)
        for source in order(wanted, accepted):
            known = self._refusal(target, source)
            if known is not None:
                refused.append(known)
                continue
            with contextlib.ExitStack() as stack:
                variant = target.started(boot_for(source, target.boot))
                running = stack.enter_context(self._forks.fork(variant, stage))
                watch = self._stopwatch(variant, running, source)
                proof = prove(watch)
                if not proof.is_had:
                    self._refused[target.id, source] = proof
                    refused.append(proof)
                    continue
                watch = dataclasses.replace(watch, proof=proof.fact)
                yield Timed(running=running, stopwatch=watch, refused=tuple(refused))
                return
        raise SourceUnusable(
            f"{target.id} cannot be timed as asked: {'; '.join(map(str, refused))}" if refused else _NOTHING,
            hint="--vmlab-timing auto takes the best that counts here",
        )

    def require_possible(self, targets: Iterable[Target]) -> None:
        """Raise `UsageError` when the source that the settings demand is out of the question for every target."""
        settings = self._lab.settings
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

    def _refusal(self, target: Target, source: TimingSource) -> Proof | None:
        known = self._refused.get((target.id, source))
        if known is None:
            host = self._lab.verdict(self._lab.image(target)).accelerator
            fact = why_not(source, target.architecture, host, target.boot)
            if not fact:
                try:
                    self._lab.spec(target.started(boot_for(source, target.boot)))
                except HostError as error:
                    fact = error.message
            if not fact:
                return None
            known = self._refused[target.id, source] = Proof(source=source, is_had=False, fact=fact)
        return known

    def _stopwatch(self, variant: Target, running: Running, source: TimingSource) -> Stopwatch:
        program = self._lab.program(variant, PROGRAM.name, lambda: running.guest, tree=read_programs(PROGRAM.parent))
        path = f"/tmp/{PROGRAM.stem}-{program.parent.name}"
        running.guest.put(program, path)
        provenance = dataclasses.replace(
            self._lab.facts[variant.id].provenance,
            timing_source=str(source),
            boot=running.guest.as_root("cat /proc/sys/kernel/random/boot_id").strip(),
        )
        return Stopwatch(guest=running.guest, program=path, source=source, target=variant.id, provenance=provenance)


_NOTHING = "this test accepts none of the sources that were asked for"
