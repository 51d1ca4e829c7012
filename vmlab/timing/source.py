# SPDX-License-Identifier: MIT
"""Which timing source a guest has: what it may have by its machine, and the proof that it counts.

A counter that is there proves nothing: under a nested hypervisor it may stand still, count user space only, or share
its register with others. So each is made to count work of known length at two lengths, and both must come out.
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
"""Short enough that most batches see no timer's interrupt, which comes every 4 ms."""
_PER_ROUND = 2
"""Instructions in a round of the stopwatch's loop."""
_ATTEMPTS = 2
_CALLS = 2_000
_BATCHES = 20
_EXACT = 1e-3
"""How far an exact count of the loop may be off: an interrupt or two, never a tick's worth of work more."""
_PMU = 1e-2
_SCALES = 0.2
"""How far twice the system calls may be from twice the instructions: they are not all alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Whether a source counts in a guest, and the fact that says so."""

    source: TimingSource
    is_had: bool
    fact: str

    def __str__(self) -> str:
        return f"{self.source}: {self.fact}"


def boot_for(source: TimingSource, boot: Boot) -> Boot:
    """How a target is started for a source; the exact ones need QEMU's virtual clock."""
    return Boot.ICOUNT if source.is_exact else boot


def why_not(source: TimingSource, architecture: Architecture, host: Accelerator, boot: Boot) -> str:
    """Why a source is out of the question for guests of an architecture, started in a way, on this host; empty when
    it may be had."""
    is_x86 = architecture is Architecture.AMD64
    if source is TimingSource.PMU and host is not Accelerator.KVM:
        return "only KVM passes a processor's counters through, and guests run under TCG here"
    if source is TimingSource.EMULATED_PMU and is_x86:
        return "QEMU emulates a PMU for arm64 only"
    if source is TimingSource.ICOUNT and not is_x86:
        return (
            "arm64's counter ticks every 16 ns; its emulated PMU counts each instruction: --vmlab-timing emulated-pmu"
        )
    if source.is_exact and boot in (Boot.STRICT, Boot.KFENCE):
        return f"a +{boot} target's instructions are not counted: they are not those that its users run"
    if source is TimingSource.CLOCK and boot is Boot.ICOUNT:
        return "the clock of a guest whose instructions are counted shows their number, and no time"
    return ""


def order(wanted: TimingSource | None, accepted: Iterable[TimingSource]) -> tuple[TimingSource, ...]:
    """The sources to try, the best first: `wanted` alone when one was asked for, else all that a test accepts."""
    may = set(accepted) or set(TimingSource)
    return tuple(source for source in TimingSource if source in may and wanted in (None, source))


def parse_sources(words: Iterable[object]) -> tuple[TimingSource, ...]:
    """The sources that a test's marker names; `UsageError` for a word that is none."""
    try:
        return tuple(TimingSource(str(word)) for word in words)
    except ValueError as error:
        known = ", ".join(TimingSource)
        raise UsageError(f"timing marker: {error}", hint=f"there are {known}") from None


def prove(watch: Stopwatch) -> Proof:
    """Let a guest's source count work of known length, and say whether it does. Costs a few commands, a second.

    It has two attempts: where a kernel's tick falls into step with the batches, each of them holds one (seen on 7.3:
    400,873 for 400,000, once in some hundred proofs). What does not count does not count the second time either.
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
    """What was seen instead of a count."""


def _prove_icount(watch: Stopwatch) -> str:
    first, second = (watch.measure(Loop(rounds), batches=_BATCHES).minimum for rounds in (_ROUNDS, 2 * _ROUNDS))
    _require_length(first, second, _EXACT, "its time stamp counter")
    return f"a loop of {_PER_ROUND * _ROUNDS} instructions took {first:.0f} ticks, twice as long a one {second:.0f}"


def _prove_emulated_pmu(watch: Stopwatch) -> str:
    return f"{_user_loops(watch, _EXACT)}; {_told(watch)}"


def _prove_pmu(watch: Stopwatch) -> str:
    loops, calls = _user_loops(watch, _PMU), _kernel_calls(watch)
    return f"{loops}; {calls:.0f} in the kernel for each system call; {_told(watch)}"


def _prove_clock(watch: Stopwatch) -> str:
    first, second = (watch.measure(Loop(rounds), batches=_BATCHES).minimum for rounds in (_ROUNDS, 4 * _ROUNDS))
    if not 0 < first < second:
        raise _Unproved(f"its clock says {first:.0f} ns for a loop, and {second:.0f} ns for one four times as long")
    return f"a loop took {first / 1e6:.2f} ms, four times as long a one {second / 1e6:.2f} ms"


def _user_loops(watch: Stopwatch, tolerance: float) -> str:
    first, second = (
        watch.measure(Loop(rounds), batches=_BATCHES, counter="instructions:u").minimum
        for rounds in (_ROUNDS, 2 * _ROUNDS)
    )
    _require_length(first, second, tolerance, "its instruction counter")
    return f"a loop of {_PER_ROUND * _ROUNDS} instructions counted {first:.0f}, twice as long a one {second:.0f}"


def _told(watch: Stopwatch) -> str:
    """What processor and kernel say of the counters: no proof, and what to look at when the proof fails elsewhere."""
    facts = watch.measure(Loop(1), batches=1).facts
    leaves = [f"CPUID {name.removeprefix('cpuid_')}: {words}" for name, words in facts.items() if "cpuid" in name]
    said = watch.guest.root("dmesg | grep -m 1 -E 'Performance Events:|hw perfevents:'").stdout.strip()
    return "; ".join((*leaves, f"its kernel said: {said}" if said else "its kernel's log has no word of a PMU"))


def _kernel_calls(watch: Stopwatch) -> float:
    first, second = (_system_calls(watch, calls).minimum * calls for calls in (_CALLS, 2 * _CALLS))
    if first <= 0 or second <= 0:
        raise _Unproved("its instruction counter counts user space only: nothing in the kernel for system calls")
    if abs(second / first - 2) > 2 * _SCALES:
        raise _Unproved(f"in the kernel it counts {first:.0f} for {_CALLS} system calls and {second:.0f} for twice")
    return first / _CALLS


def _system_calls(watch: Stopwatch, calls: int) -> Measurement:
    return watch.measure(SystemCall(), batches=_BATCHES, iterations=calls, counter="instructions:k")


def _require_length(first: float, second: float, tolerance: float, what: str) -> None:
    """Both lengths must come out, and not only their ratio."""
    if first == 0 and second == 0:
        raise _Unproved(f"{what} counts nothing: 0 for a loop of {_PER_ROUND * _ROUNDS} instructions")
    for counted, rounds in ((first, _ROUNDS), (second, 2 * _ROUNDS)):
        if abs(counted / (_PER_ROUND * rounds) - 1) > tolerance:
            raise _Unproved(f"{what} says {counted:.0f} for a loop of {_PER_ROUND * rounds} instructions")


_PROOFS = {
    TimingSource.PMU: _prove_pmu,
    TimingSource.EMULATED_PMU: _prove_emulated_pmu,
    TimingSource.ICOUNT: _prove_icount,
    TimingSource.CLOCK: _prove_clock,
}
