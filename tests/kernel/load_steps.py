# SPDX-License-Identifier: MIT
"""What the source says happens when a module is loaded (load_steps.toml), and what a trace shows of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from vmlab.decode import read_toml, structure

from .graph import Call
from .release import line_of

_FILE = Path(__file__).with_name("load_steps.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of the kernel's, and in which kernels it is."""

    function: str
    does: str
    since: str = ""
    until: str = ""
    within: str = "load_module"
    """Which function of the source calls it."""
    shown_by: tuple[str, ...] = ()
    """Functions that it calls: they show it where the compiler inlined it."""
    seldom: bool = False
    """Whether nothing of it needs to be seen, called or through others."""
    change: str = ""

    def is_in(self, release: str) -> bool:
        """Whether a kernel's source has it."""
        line = line_of(release)
        return (not self.since or line >= line_of(self.since)) and (not self.until or line <= line_of(self.until))


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    chain: tuple[Function, ...]
    step: tuple[Function, ...]
    later: tuple[Function, ...]


class Seen(StrEnum):
    """What a trace shows of a function."""

    CALLED = "called"
    INLINED = "inlined"
    HIDDEN = "not traceable"
    """The kernel has it, and does not let it be traced."""
    UNSEEN = "inlined, not to be seen"
    """And so is all that would show it."""
    ABSENT = "not in this release"
    NOT_CALLED = "not called"
    """The kernel has it, could have traced it, and did not call it: the source was read wrong, or the kernel is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One function, as one kernel shows it."""

    function: Function
    seen: Seen
    caller: str = ""
    """Which traced function called it, or what shows it."""
    shown_by: tuple[str, ...] = ()

    def __str__(self) -> str:
        name = self.function.function
        if self.seen is Seen.CALLED:
            return f"{name}: called by {self.caller}"
        if self.seen is Seen.INLINED:
            return f"{name}: inlined; shown by {', '.join(self.shown_by)}, called by {self.caller}"
        return f"{name}: {self.seen}"


@cache
def _read() -> _File:
    return structure(read_toml(_FILE), _File, where=_FILE.name)


def chain(release: str) -> tuple[str, ...]:
    """From the system call, which is left out, to `load_module`: the functions in a kernel's source."""
    return tuple(each.function for each in _read().chain if each.is_in(release))


def steps() -> tuple[Function, ...]:
    """What happens in `load_module`, in order."""
    return _read().step


def later(release: str) -> tuple[str, ...]:
    """What frees the memory of init, outermost first."""
    return tuple(each.function for each in _read().later if each.is_in(release))


def traced_names() -> tuple[str, ...]:
    """Every function that has to be traced to see any of it."""
    file = _read()
    names = [each.function for each in (*file.chain, *file.step, *file.later)]
    names += [name for each in file.step for name in each.shown_by]
    return tuple(dict.fromkeys(names))


def look(load: Call, release: str, *, has: Collection[str], traceable: Collection[str]) -> list[Sight]:
    """What a call of `load_module` shows of each step. `has` are the names in the kernel's symbol table, `traceable`
    those that a tracer may switch on; both without a compiler's suffix."""
    return [_sight(step, load, release, has, traceable) for step in steps()]


def _sight(step: Function, load: Call, release: str, has: Collection[str], traceable: Collection[str]) -> Sight:
    if not step.is_in(release):
        return Sight(function=step, seen=Seen.ABSENT)
    caller = _caller_of(load, step.function)
    if caller:
        return Sight(function=step, seen=Seen.CALLED, caller=caller)
    if step.function in traceable:
        return Sight(function=step, seen=Seen.NOT_CALLED)
    if step.function in has:
        return Sight(function=step, seen=Seen.HIDDEN)
    callers = {child.name: parent.name for parent, child in reversed(list(_pairs(load)))}
    # What one of them calls itself, such as execmem_alloc() in execmem_alloc_rw(), shows nothing more.
    shown_by = tuple(name for name in step.shown_by if name in callers and callers[name] not in step.shown_by)
    if not shown_by:
        return Sight(function=step, seen=Seen.UNSEEN)
    return Sight(function=step, seen=Seen.INLINED, caller=callers[shown_by[0]], shown_by=shown_by)


def _caller_of(call: Call, name: str) -> str:
    return next((parent.name for parent, child in _pairs(call) if child.name == name), "")


def _pairs(call: Call) -> Iterator[tuple[Call, Call]]:
    for child in call.calls:
        yield call, child
        yield from _pairs(child)
