# SPDX-License-Identifier: MIT
"""Timing sources of a guest: the ones its machine allows, and the proof that a source counts.

The presence of a counter proves nothing: under a nested hypervisor it may stand still, count user space only, or share
its register with others. So each source must count work of two known lengths correctly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vmlab.catalogue.target import Architecture, Boot
from vmlab.errors import UsageError
from vmlab.host.accelerator import Accelerator
from vmlab.timing.operation import Loop, SystemCall
from vmlab.timing.series import TimingSource
from vmlab.timing.stopwatch import CounterUnusable, Measurement, Stopwatch

_ROUNDS = 200_000
"""Rounds of the loop, few enough that most batches see no timer interrupt (every 4 ms)."""
_PER_ROUND = 2
"""Instructions per round of the stopwatch's loop."""
_ATTEMPTS = 2
_CALLS = 2_000
_BATCHES = 20
_EXACT = 1e-3
"""Relative error allowed for an exact count of the loop: an interrupt or two, but not a timer tick's work."""
_PMU = 1e-2
_SCALES = 0.2
"""Relative error allowed for the instructions of twice the system calls, which vary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Result of the proof that a source counts in a guest, with the fact that decided it."""

    source: TimingSource
    is_had: bool
    fact: str

    def __str__(self) -> str:
        return f"{self.source}: {self.fact}"


def boot_for(source: TimingSource, boot: Boot) -> Boot:
    """Return the boot variant for a source; the exact sources need QEMU's virtual clock."""
    return Boot.ICOUNT if source.is_exact else boot


def why_not(source: TimingSource, architecture: Architecture, host: Accelerator, boot: Boot) -> str:
    """Return the reason why a source is impossible for an architecture, accelerator and boot variant; empty if it is
    possible."""
    is_x86 = architecture is Architecture.AMD64
    if source is TimingSource.PMU and host is not Accelerator.KVM:
        return "only KVM passes a processor's counters through, but guests run under TCG here"
    if source is TimingSource.EMULATED_PMU and is_x86:
        return "QEMU emulates a PMU for arm64 only"
    if source is TimingSource.ICOUNT and not is_x86:
        return "arm64's counter ticks every 16 ns only; use --vmlab-timing emulated-pmu, which counts each instruction"
    if source.is_exact and boot in (Boot.STRICT, Boot.KFENCE):
        return f"exact sources do not support +{boot} targets, whose kernels run other instructions than stock"
    if source is TimingSource.CLOCK and boot is Boot.ICOUNT:
        return "the clock of a guest under -icount counts instructions, not time"
    return ""


def order(wanted: TimingSource | None, accepted: Iterable[TimingSource]) -> tuple[TimingSource, ...]:
    """Return the sources to try, best first: only `wanted` if set, else all that a test accepts."""
    may = set(accepted) or set(TimingSource)
    return tuple(source for source in TimingSource if source in may and wanted in (None, source))


def parse_sources(words: Iterable[object]) -> tuple[TimingSource, ...]:
    """Parse the sources of a test's marker; raises `UsageError` for an unknown word."""
    try:
        return tuple(TimingSource(str(word)) for word in words)
    except ValueError as error:
        known = ", ".join(TimingSource)
        raise UsageError(f"timing marker: {error}", hint=f"known: {known}") from None


def prove(watch: Stopwatch) -> Proof:
    """Prove that a guest's source counts work of known length. Costs a few commands, 1 s.

    A failed proof is retried once: if timer ticks coincide with the batches, every batch contains one (seen on 7.3:
    400,873 for 400,000, once in some hundred proofs). A source that does not count fails both times.
    """
    fact = ""
    for _ in range(_ATTEMPTS):
        try:
            return Proof(source=watch.source, is_had=True, fact=_PROOFS[watch.source](watch))
        except CounterUnusable as error:
            return Proof(source=watch.source, is_had=False, fact=error.message)
        except _Unproved as error:
            fact = str(error)
    return Proof(source=watch.source, is_had=False, fact=fact)


class _Unproved(Exception):
    """A wrong count; the message has the figures."""


def _prove_icount(watch: Stopwatch) -> str:
    first, second = (watch.measure(Loop(rounds), batches=_BATCHES).minimum for rounds in (_ROUNDS, 2 * _ROUNDS))
    _require_length(first, second, _EXACT, "its time stamp counter")
    return f"a loop of {_PER_ROUND * _ROUNDS} instructions took {first:.0f} ticks, one twice as long {second:.0f}"


def _prove_emulated_pmu(watch: Stopwatch) -> str:
    return f"{_user_loops(watch, _EXACT)}; {_told(watch)}"


def _prove_pmu(watch: Stopwatch) -> str:
    loops, calls = _user_loops(watch, _PMU), _kernel_calls(watch)
    return f"{loops}; {calls:.0f} in the kernel for each system call; {_told(watch)}"


def _prove_clock(watch: Stopwatch) -> str:
    first, second = (watch.measure(Loop(rounds), batches=_BATCHES).minimum for rounds in (_ROUNDS, 4 * _ROUNDS))
    if not 0 < first < second:
        raise _Unproved(f"its clock measured {first:.0f} ns for a loop, {second:.0f} ns for one four times as long")
    return f"a loop took {first / 1e6:.2f} ms, one four times as long {second / 1e6:.2f} ms"


def _user_loops(watch: Stopwatch, tolerance: float) -> str:
    first, second = (
        watch.measure(Loop(rounds), batches=_BATCHES, counter="instructions:u").minimum
        for rounds in (_ROUNDS, 2 * _ROUNDS)
    )
    _require_length(first, second, tolerance, "its instruction counter")
    return f"a loop of {_PER_ROUND * _ROUNDS} instructions counted {first:.0f}, one twice as long {second:.0f}"


def _told(watch: Stopwatch) -> str:
    """Return the reports of processor and kernel about the counters: no proof, but evidence when a proof fails."""
    facts = watch.measure(Loop(1), batches=1).facts
    leaves = [f"CPUID {name.removeprefix('cpuid_')}: {words}" for name, words in facts.items() if "cpuid" in name]
    said = watch.guest.root("dmesg | grep -m 1 -E 'Performance Events:|hw perfevents:'").stdout.strip()
    return "; ".join((*leaves, f"its kernel log: {said}" if said else "its kernel log does not mention a PMU"))


def _kernel_calls(watch: Stopwatch) -> float:
    first, second = (_system_calls(watch, calls).minimum * calls for calls in (_CALLS, 2 * _CALLS))
    if first <= 0 or second <= 0:
        raise _Unproved("its instruction counter counts user space only: 0 in the kernel for system calls")
    if abs(second / first - 2) > 2 * _SCALES:
        raise _Unproved(
            f"it counts {first:.0f} in the kernel for {_CALLS} system calls, {second:.0f} for twice as many"
        )
    return first / _CALLS


def _system_calls(watch: Stopwatch, calls: int) -> Measurement:
    return watch.measure(SystemCall(), batches=_BATCHES, iterations=calls, counter="instructions:k")


def _require_length(first: float, second: float, tolerance: float, what: str) -> None:
    """Raise `_Unproved` unless both counts are correct; their ratio alone is not enough."""
    if first == 0 and second == 0:
        raise _Unproved(f"{what} counts nothing: 0 for a loop of {_PER_ROUND * _ROUNDS} instructions")
    for counted, rounds in ((first, _ROUNDS), (second, 2 * _ROUNDS)):
        if abs(counted / (_PER_ROUND * rounds) - 1) > tolerance:
            raise _Unproved(f"{what} counted {counted:.0f} for a loop of {_PER_ROUND * rounds} instructions")


_PROOFS = {
    TimingSource.PMU: _prove_pmu,
    TimingSource.EMULATED_PMU: _prove_emulated_pmu,
    TimingSource.ICOUNT: _prove_icount,
    TimingSource.CLOCK: _prove_clock,
}
