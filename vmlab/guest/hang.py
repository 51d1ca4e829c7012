# SPDX-License-Identifier: MIT
"""Probe of a guest after a timeout: steps with limited time, harmless ones first, each with its result."""

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
QUIET_S = 1.0
"""Seconds without output after which an answer on the console is complete."""


class Probing(Protocol):
    """Interface of `machine.probes.Probes`: the probes of a machine."""

    def sysrq(self, key: str) -> None: ...

    def stale_trap(self) -> str: ...

    def inject_nmi(self) -> None: ...

    def registers(self) -> str: ...

    def dump(self, path: Path) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the probe and its result."""

    name: str
    has_answered: bool
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HangReport:
    """Result of all steps of the probe."""

    steps: tuple[Step, ...]
    trace: tuple[str, ...] = ()
    """Kernel output of all steps, line by line."""
    stale_trap: str = ""
    """Address of a trap at a breakpoint that is not in memory, by QEMU's registers: the emulator's fault."""
    registers: str = ""
    """Registers of the processors, from QEMU, not from the guest."""
    dump: Path | None = None
    dump_failure: str = ""
    nmi_from: int | None = None
    """Console offset at which the lab injected the NMI; None if it did not."""

    @property
    def kernel_answers(self) -> bool:
        """True if the guest or its kernel answered any step."""
        return any(step.has_answered for step in self.steps)

    @property
    def frame(self) -> Frame | None:
        """Frame in a module where a task is blocked, or else where a processor is; None when neither is in a module."""
        frames = frames_of(self.trace)
        module = blamed_module("", frames)
        inside = sorted((frame for frame in frames if module and frame.module == module), key=lambda row: row.is_guess)
        return inside[0] if inside else None

    @property
    def line(self) -> str:
        """Steps in one line: `SSH: no answer, sysrq w: answered, …`"""
        words = (f"{step.name}: {'answered' if step.has_answered else 'no answer'}" for step in self.steps)
        return ", ".join(words)

    def __str__(self) -> str:
        parts = [f"probes of the guest: {self.line}"]
        parts += [f"--- {step.name} ---\n{step.evidence}" for step in self.steps if step.evidence]
        if self.registers:
            parts.append(f"--- registers, from QEMU ---\n{self.registers}")
        if self.dump_failure:
            parts.append(f"its memory was not dumped: {self.dump_failure}")
        if self.dump is not None:
            note, symbols = note_path(self.dump), '-s "$(vmlab symbols TARGET)"'
            parts.append(f"to debug its memory: drgn -c {self.dump} --vmcoreinfo {note} {symbols} -s MODULE.ko")
        return "\n".join(parts)


@dataclass(slots=True, kw_only=True)
class HangProbe:
    """Probe of one machine; `step_s` is the timeout for each answer, in seconds.

    `nmi_panics` is True if the kernel was booted to panic at an NMI and print its call trace; without that an NMI has
    no effect. `dump_to` returns the path for a memory dump, or None for no dump.
    """

    machine: Callable[[], Probing]
    console: Console
    step_s: float
    nmi_panics: bool
    has_lockdep: bool = False
    is_emulated: bool = False
    dump_to: Callable[[], Path | None] = lambda: None

    def stale_trap(self) -> str:
        """Return the address where an emulated processor traps endlessly at a removed breakpoint; empty if none does,
        or QEMU is gone."""
        if not self.is_emulated:
            return ""
        with contextlib.suppress(MachineLost):
            return self.machine().stale_trap()
        return ""

    def ask(self, *, ssh_answers: bool, ssh_evidence: str = "") -> HangReport:
        """Run the steps. A guest whose SSH answers is asked only for the state of its tasks and processors, and
        continues. Otherwise all steps run, and the last one ends the guest. Raises nothing; takes up to `step_s`
        for each step without an answer.
        """
        steps = [Step(name="SSH", has_answered=ssh_answers, evidence=ssh_evidence)]
        stale_trap = self.stale_trap()
        if stale_trap:
            # The cause is known, and the kernel would not answer: each step would run into its timeout.
            return HangReport(steps=tuple(steps), stale_trap=stale_trap, registers=self._registers())
        lines: list[str] = []
        keys = "wl" if ssh_answers else "wlt"
        for key in keys + ("d" if self.has_lockdep else ""):
            steps.append(self._sysrq(key, lines))
            if not steps[-1].has_answered:
                break  # it would not answer the other keys either
        registers = "" if ssh_answers else self._registers()
        dump, dump_failure = self._dump()
        nmi_from = None
        # Last, because it ends the guest.
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
        # A longer timeout: on a busy host the first output of a panic took more than 4 s.
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
        """Read the console from an offset on, until it has been quiet for a while."""
        last = before

        def has_spoken() -> bool:
            return self.console.size() > before

        def is_quiet() -> bool:
            nonlocal last
            previous, last = last, self.console.size()
            return last == previous

        with contextlib.suppress(MachineLost):
            wait_until(has_spoken, timeout_s=self.step_s * patience, describe=f"an answer to {what}", interval_s=0.05)
            wait_until(is_quiet, timeout_s=self.step_s, describe="the console to be quiet", interval_s=QUIET_S)
        return parse_console(self.console.text(after=before))


def _shown(records: list[LogRecord]) -> str:
    lines = [str(record) for record in records]
    if len(lines) <= _SHOWN_LINES:
        return "\n".join(lines)
    return "\n".join([*lines[:_SHOWN_LINES], f"… {len(lines) - _SHOWN_LINES} more lines in the console's file"])
