# SPDX-License-Identifier: MIT
"""Steps of loading a module by the kernel source (load_steps.toml), and their visibility in a trace. Pure."""

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
    """A kernel function, and the kernels that have it."""

    function: str
    does: str
    since: str = ""
    until: str = ""
    within: str = "load_module"
    """Calling function in the source."""
    shown_by: tuple[str, ...] = ()
    """Functions it calls: they reveal it where the compiler inlined it."""
    seldom: bool = False
    """True if a trace may lack it, directly and through others."""
    change: str = ""

    def is_in(self, release: str) -> bool:
        """True if a kernel's source has it."""
        line = line_of(release)
        return (not self.since or line >= line_of(self.since)) and (not self.until or line <= line_of(self.until))


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    chain: tuple[Function, ...]
    step: tuple[Function, ...]
    later: tuple[Function, ...]


class Seen(StrEnum):
    """Visibility of a function in a trace."""

    CALLED = "called"
    INLINED = "inlined"
    HIDDEN = "not traceable"
    """The kernel has it, but does not allow tracing it."""
    UNSEEN = "inlined, not to be seen"
    """Inlined, as is every function that would show it."""
    ABSENT = "not in this release"
    NOT_CALLED = "not called"
    """The kernel has it, could trace it, and did not call it: either load_steps.toml is wrong or the kernel is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Visibility of one function on one kernel."""

    function: Function
    seen: Seen
    caller: str = ""
    """Traced function that calls it, or that calls the functions that reveal it."""
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
    """Functions from the system call (excluded) to `load_module` in a kernel's source."""
    return tuple(each.function for each in _read().chain if each.is_in(release))


def steps() -> tuple[Function, ...]:
    """Steps in `load_module`, in order."""
    return _read().step


def later(release: str) -> tuple[str, ...]:
    """Functions that free the init memory, outermost first."""
    return tuple(each.function for each in _read().later if each.is_in(release))


def traced_names() -> tuple[str, ...]:
    """All functions to trace."""
    file = _read()
    names = [each.function for each in (*file.chain, *file.step, *file.later)]
    names += [name for each in file.step for name in each.shown_by]
    return tuple(dict.fromkeys(names))


def look(load: Call, release: str, *, has: Collection[str], traceable: Collection[str]) -> list[Sight]:
    """Visibility of each step in a call of `load_module`. `has` are the names in the kernel's symbol table, `traceable`
    those that a tracer may enable; both without a compiler's suffix."""
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
    # A function called by another one of them, such as execmem_alloc() in execmem_alloc_rw(), adds nothing.
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
