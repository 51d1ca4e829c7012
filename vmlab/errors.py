# SPDX-License-Identifier: MIT
"""Every error the lab raises on purpose, by whose fault it is.

    VmlabError
    ├── UsageError      you: a wrong option, name or file
    ├── HostError       this host: a program, a permission, memory or disk is missing
    │   └── KvmRefused      QEMU was refused KVM when it started
    ├── AssetError      an image or a package: not there, not reachable, damaged
    ├── ModuleError     the module under test; a test result, not a breakdown
    │   ├── BuildError      it does not compile, or came out for another kernel
    │   └── GuestError      a command in the guest, or loading the module, failed
    │       ├── CommandHung     a command was over its limit, and the guest's kernel was asked why
    │       └── KernelTrouble   the kernel reported an oops, a WARNING, a stall
    └── MachineLost     nobody knows yet: QEMU ended, or the guest stopped answering
        └── EmulatorFault   the emulator ran code that the guest does not have; the test is run again once

A lost machine is never a failed test, and a failed test never a lost machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self, TypeVar


class VmlabError(Exception):
    """Something the lab can explain: what happened, and what to type next.

    `message` is lower case and names the value at fault; `hint` is one thing to try; `detail` holds the
    evidence (a console's tail, a compiler's output) and is shown below the line, never in it.
    """

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        line = f"{self.message} ({self.hint})" if self.hint else self.message
        return f"{line}\n{self.detail.rstrip()}" if self.detail else line

    @property
    def one_line(self) -> str:
        """The error without its evidence, as it stands after `vmlab: `."""
        return str(self).splitlines()[0]

    def retold(self, *, detail: str) -> Self:
        """The same error with other evidence."""
        told = _rebuild(type(self), self.args, self.__cause__)
        vars(told).update(vars(self) | {"detail": detail})
        if "__notes__" in vars(self):
            told.__notes__ = [*self.__notes__]
        return told

    def __reduce__(self) -> tuple[object, ...]:
        # By default pickle calls the class with `args`, which lacks keyword arguments, and leaves out `__cause__`.
        args = tuple(_portable(value) for value in self.args)
        cause = self.__cause__ if _is_portable(self.__cause__) else VmlabError(_words(self.__cause__))
        return (
            _rebuild,
            (type(self), args, cause),
            {name: _portable(value) for name, value in vars(self).items()},
        )


_Error = TypeVar("_Error", bound=VmlabError)


def _rebuild(kind: type[_Error], args: tuple[object, ...], cause: BaseException | None) -> _Error:
    """An error without its attributes; the class's own `__init__` may take other arguments."""
    error = kind.__new__(kind)
    error.args = args
    if cause is not None:
        error.__cause__ = cause
    return error


def _portable(value: object) -> object:
    """A value that can be sent to another process, or its words."""
    return value if _is_portable(value) else _words(value)


def _is_portable(value: object) -> bool:
    import pickle

    try:
        # Many an exception is written and cannot be read: its class takes other arguments than its `args`.
        pickle.loads(pickle.dumps(value))
    except Exception:  # noqa: BLE001 - whatever a value's own methods raise
        return False
    return True


def _words(value: object) -> str:
    return f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else repr(value)


class UsageError(VmlabError):
    """The user asked for something that is not there or makes no sense."""


class HostError(VmlabError):
    """This host cannot do what was asked."""


class KvmRefused(HostError):
    """QEMU was refused KVM when it started: the right to the device, or its module, is gone."""


class AssetError(VmlabError):
    """An image, or a package it is made of, cannot be had or cannot be trusted."""


class ModuleError(VmlabError):
    """The module under test is at fault: this is a result."""

    source = ""
    """`read.c:42`: where in the module's directory, if that is known."""


class BuildError(ModuleError):
    """The module does not build for this kernel."""


class GuestError(ModuleError):
    """A command in the guest did not do what the test asked of it."""


class CommandHung(GuestError):
    """A command was over its limit, and the guest's kernel lives: the guest is not to be trusted any more."""

    trace: tuple[str, ...] = ()
    """The kernel's lines about its blocked tasks and its processors."""


class KernelTrouble(GuestError):
    """The kernel reported trouble: its own words are the reason, whatever the test saw."""

    fingerprint = ""
    """The same for each report of one fault."""


class MachineLost(VmlabError):
    """QEMU ended or the guest stopped answering: no verdict on the module follows from this."""


class EmulatorFault(MachineLost):
    """The emulator, not the guest's code, broke the guest: `guest/emulator_fault.py` has the evidence for it."""


def hides_frames(caught: object) -> bool:
    """True if pytest leaves the lab's own frames out of a test's failure: those that carry the module's fault.

    For `__tracebackhide__`, which pytest calls with its ExceptionInfo. An unexpected exception keeps every frame, and
    so does `--full-trace`.
    """
    return isinstance(getattr(caught, "value", None), ModuleError)


_MOST_NAMED = 6
"""So many names can be read in one line; of more the nearest are enough."""
_FEW = 3


def nearest(word: str, words: Iterable[str], *, listing: str = "") -> str:
    """A hint naming the known word most like `word`, or, when none is close, all of them; of many the three nearest.

    `listing` is the command that lists them all, for when a guess is of no use.
    """
    import difflib

    known = sorted(set(words))
    close = [candidate for candidate in known if word and candidate.startswith(word)]
    close = close or difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    if len(known) <= _MOST_NAMED:
        return f"known: {', '.join(known)}" if known else "there are none"
    near = difflib.get_close_matches(word, known, n=_FEW, cutoff=0.0)
    return f"the nearest of {len(known)}: {', '.join(near)}" + (f"; `{listing}` lists all" if listing else "")


def some(names: Iterable[str]) -> str:
    """Names in one line: all when they are a handful, else three and how many more there are."""
    listed = list(names)
    if len(listed) <= _MOST_NAMED:
        return ", ".join(listed)
    return f"{', '.join(listed[:_FEW])} and {len(listed) - _FEW} more"
