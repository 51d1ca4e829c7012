# SPDX-License-Identifier: MIT
"""A guest over its limit: asked in bounded steps, gentle ones first, and what each gave is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vmlab.errors import HostError, MachineLost
from vmlab.klog.call_trace import Frame, blamed_module, frames_of
from vmlab.klog.log import LogRecord, parse_console
from vmlab.machine.console import Console
from vmlab.machine.memory_dump import note_path
from vmlab.system.wait import wait_until

_SYSRQ = {"w": "blocked tasks", "l": "backtraces of the processors", "t": "all tasks", "d": "held locks"}
_SHOWN_LINES = 60
_QUIET_S = 1.0
"""A console that printed nothing for so long has said what it had to say."""


class Probing(Protocol):
    """What the host can ask of the machine: `machine.probes.Probes`."""

    def sysrq(self, key: str) -> None: ...

    def stale_trap(self) -> str: ...

    def inject_nmi(self) -> None: ...

    def registers(self) -> str: ...

    def dump(self, path: Path) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One question and what came of it."""

    name: str
    has_answered: bool
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HangReport:
    """All steps that were taken."""

    steps: tuple[Step, ...]
    trace: tuple[str, ...] = ()
    """The kernel's answers, line by line."""
    stale_trap: str = ""
    """The place of a trap at a breakpoint that is not in memory, by QEMU's registers: the emulator's fault."""
    registers: str = ""
    """Where QEMU says that the processors are; no word of the guest's."""
    dump: Path | None = None
    dump_failure: str = ""
    nmi_from: int | None = None
    """Where on the console begins what the lab's own interrupt made the kernel say."""

    @property
    def kernel_answers(self) -> bool:
        """Whether anything came from the kernel itself."""
        return any(step.has_answered for step in self.steps)

    @property
    def frame(self) -> Frame | None:
        """The frame in a module that a task is blocked in, or else a processor; None when neither is in a module."""
        frames = frames_of(self.trace)
        module = blamed_module("", frames)
        inside = sorted((frame for frame in frames if module and frame.module == module), key=lambda row: row.is_guess)
        return inside[0] if inside else None

    @property
    def line(self) -> str:
        """`SSH: silent, sysrq w: answered, …`"""
        words = (f"{step.name}: {'answered' if step.has_answered else 'silent'}" for step in self.steps)
        return ", ".join(words)

    def __str__(self) -> str:
        parts = [f"asked of the guest: {self.line}"]
        parts += [f"--- {step.name} ---\n{step.evidence}" for step in self.steps if step.evidence]
        if self.registers:
            parts.append(f"--- registers, by QEMU ---\n{self.registers}")
        if self.dump_failure:
            parts.append(f"its memory was wanted, and: {self.dump_failure}")
        if self.dump is not None:
            note, symbols = note_path(self.dump), '-s "$(vmlab symbols TARGET)"'
            parts.append(f"its memory: drgn -c {self.dump} --vmcoreinfo {note} {symbols} -s MODULE.ko")
        return "\n".join(parts)


@dataclass(slots=True, kw_only=True)
class HangProbe:
    """What may be asked of one machine. `step_s` limits the wait for each answer.

    `nmi_panics` tells that the kernel was booted so that a non-maskable interrupt makes it panic and print where its
    processors are; without that nothing would come of one. `dump_to` names a file for the memory, if it is wanted.
    """

    machine: Callable[[], Probing]
    console: Console
    step_s: float
    nmi_panics: bool
    has_lockdep: bool = False
    is_emulated: bool = False
    dump_to: Callable[[], Path | None] = lambda: None

    def stale_trap(self) -> str:
        """Return the place where an emulated processor traps without end at a breakpoint that is gone; empty for none,
        or QEMU is gone."""
        if not self.is_emulated:
            return ""
        with contextlib.suppress(MachineLost):
            return self.machine().stale_trap()
        return ""

    def ask(self, *, ssh_answers: bool, ssh_evidence: str = "") -> HangReport:
        """Take the steps. A guest whose SSH answers is asked where its tasks and processors are and left to go on;
        one that is silent is asked everything, the last of which ends it. Raises nothing; costs up to `step_s` for
        each step that gets no answer.
        """
        steps = [Step(name="SSH", has_answered=ssh_answers, evidence=ssh_evidence)]
        stale_trap = self.stale_trap()
        if stale_trap:
            # What its kernel has to say is known: no key would be answered, and each would be waited for.
            return HangReport(steps=tuple(steps), stale_trap=stale_trap, registers=self._registers())
        lines: list[str] = []
        keys = "wl" if ssh_answers else "wlt"
        for key in keys + ("d" if self.has_lockdep else ""):
            steps.append(self._sysrq(key, lines))
            if not steps[-1].has_answered:
                break  # nor would it answer to the others
        registers = "" if ssh_answers else self._registers()
        dump, dump_failure = self._dump()
        nmi_from = None
        # Last, since it ends the guest.
        if self.nmi_panics and not any(step.has_answered for step in steps):
            nmi_from = self.console.size()
            steps.append(self._nmi(lines))
        return HangReport(
            steps=tuple(steps),
            trace=tuple(lines),
            registers=registers,
            dump=dump,
            dump_failure=dump_failure,
            nmi_from=nmi_from,
        )

    def _sysrq(self, key: str, lines: list[str]) -> Step:
        name = f"sysrq {key}"
        before = self.console.size()
        try:
            self.machine().sysrq(key)
        except MachineLost as lost:
            return Step(name=name, has_answered=False, evidence=lost.message)
        said = self._listen(before, f"sysrq: {_SYSRQ[key]}")
        lines += [record.text for record in said]
        return Step(name=name, has_answered=bool(said), evidence=_shown(said))

    def _nmi(self, lines: list[str]) -> Step:
        before = self.console.size()
        try:
            self.machine().inject_nmi()
        except MachineLost as lost:
            return Step(name="NMI", has_answered=False, evidence=lost.message)
        # The last question: a panic on a busy host took more than 4 s to come to its first word.
        said = self._listen(before, "a non-maskable interrupt", patience=3)
        lines += [record.text for record in said]
        return Step(name="NMI", has_answered=bool(said), evidence=_shown(said))

    def _registers(self) -> str:
        with contextlib.suppress(MachineLost):
            words = ("RIP=", "CPU#", " PC=", "RSP=")
            text = self.machine().registers()
            return "\n".join(line for line in text.splitlines() if any(word in line for word in words))
        return ""

    def _dump(self) -> tuple[Path | None, str]:
        path = self.dump_to()
        if path is None:
            return None, ""
        try:
            self.machine().dump(path)
        except (HostError, MachineLost) as error:
            return None, error.message
        return path, ""

    def _listen(self, before: int, what: str, *, patience: int = 1) -> list[LogRecord]:
        """What the console says from a place on, until it has been quiet for a while."""
        last = before

        def has_spoken() -> bool:
            return self.console.size() > before

        def is_quiet() -> bool:
            nonlocal last
            previous, last = last, self.console.size()
            return last == previous

        with contextlib.suppress(MachineLost):
            wait_until(has_spoken, timeout_s=self.step_s * patience, describe=f"an answer to {what}", interval_s=0.05)
            wait_until(is_quiet, timeout_s=self.step_s, describe="the console to be quiet", interval_s=_QUIET_S)
        return parse_console(self.console.text(after=before))


def _shown(records: list[LogRecord]) -> str:
    lines = [str(record) for record in records]
    if len(lines) <= _SHOWN_LINES:
        return "\n".join(lines)
    return "\n".join([*lines[:_SHOWN_LINES], f"… {len(lines) - _SHOWN_LINES} more lines on the console"])
