# SPDX-License-Identifier: MIT
"""The errors that the lab raises on purpose, grouped by who is at fault.

    VmlabError
    ├── UsageError      you: an invalid option, name or file
    ├── HostError       this host: a program, a permission, memory or disk is missing
    │   └── KvmRefused      QEMU was refused KVM when it started
    ├── AssetError      an image or a package: missing, not reachable, damaged
    ├── ModuleError     the module under test; a test result, not a failure of the lab
    │   ├── BuildError      it does not compile, or was built for another kernel
    │   └── GuestError      a command in the guest, or loading the module, failed
    │       ├── CommandHung     a command exceeded its timeout; the guest's kernel still answers
    │       └── KernelTrouble   the kernel reported an oops, a WARNING, a stall
    └── MachineLost     unknown: QEMU ended, or the guest stopped answering
        └── EmulatorFault   the emulator ran code that the guest does not have; the test is retried once

A lost machine is never a failed test, and a failed test is never a lost machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self, TypeVar

from vmlab.text import printable, printable_lines

_LONGEST = 2000
"""Maximum length of a message and of a hint in characters: 25 lines of a terminal."""


class VmlabError(Exception):
    """An error with a reason and the next thing to type.

    `message` is lower case and names the value at fault; `hint` is one thing to try; `detail` holds the
    evidence (a console's tail, a compiler's output), which is shown below the message. The error's text is printable,
    and its message and hint are short, whatever a guest or a user put into it.
    """

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(_limited(message))
        self.message = _limited(message)
        self.hint = _limited(hint)
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.one_line}\n{printable_lines(self.detail.rstrip())}" if self.detail else self.one_line

    @property
    def one_line(self) -> str:
        """Message and hint without the detail, as printed after `vmlab: `."""
        line = f"{self.message} ({self.hint})" if self.hint else self.message
        return printable(" ".join(line.splitlines()))

    def retold(self, *, detail: str) -> Self:
        """Return a copy of the error with another `detail`."""
        told = _rebuild(type(self), self.args, self.__cause__)
        vars(told).update(vars(self) | {"detail": detail})
        if "__notes__" in vars(self):
            told.__notes__ = [*self.__notes__]
        return told

    def __reduce__(self) -> tuple[object, ...]:
        # By default pickle calls the class with `args`, without keyword arguments, and drops `__cause__`.
        args = tuple(_portable(value) for value in self.args)
        cause = self.__cause__ if _is_portable(self.__cause__) else VmlabError(_words(self.__cause__))
        return (
            _rebuild,
            (type(self), args, cause),
            {name: _portable(value) for name, value in vars(self).items()},
        )


def _limited(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


_Error = TypeVar("_Error", bound=VmlabError)


def _rebuild(kind: type[_Error], args: tuple[object, ...], cause: BaseException | None) -> _Error:
    """Make an error without its attributes and without `__init__`, which may take other arguments."""
    error = kind.__new__(kind)
    error.args = args
    if cause is not None:
        error.__cause__ = cause
    return error


def _portable(value: object) -> object:
    """Return a value if pickle can send it to another process, else its text."""
    return value if _is_portable(value) else _words(value)


def _is_portable(value: object) -> bool:
    import pickle

    try:
        # Many exceptions can be pickled but not unpickled: the class takes other arguments than `args`.
        pickle.loads(pickle.dumps(value))
    except Exception:  # noqa: BLE001 - a value's methods may raise anything
        return False
    return True


def _words(value: object) -> str:
    return f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else repr(value)


class UsageError(VmlabError):
    """The user asked for something that does not exist or is invalid."""


class HostError(VmlabError):
    """This host cannot do what was asked."""


class KvmRefused(HostError):
    """QEMU was refused KVM when it started: the permission for the device, or its module, is gone."""


class AssetError(VmlabError):
    """An image, or a package in it, is not available or cannot be trusted."""


class ModuleError(VmlabError):
    """The module under test is at fault: this is a test result."""

    source = ""
    """File and line in the module's directory, such as `read.c:42`; empty if unknown."""


class BuildError(ModuleError):
    """The module does not build for this kernel."""

    kind = ""
    """Kind of the failure, one of six: `the kernel's API changed`; empty if the build was not tried or said nothing."""
    output = ""
    """The whole output of the build, as far as it is kept; `detail` has its end."""


class GuestError(ModuleError):
    """A command in the guest did not do what the test asked of it."""


class CommandHung(GuestError):
    """A command exceeded its timeout while the guest's kernel runs on: the guest is discarded."""

    trace: tuple[str, ...] = ()
    """Kernel log lines about blocked tasks and the processors."""


class KernelTrouble(GuestError):
    """The kernel reported a splat: its text is the reason, whatever the test saw."""

    fingerprint = ""
    """Identifier that is equal for all reports of one fault."""


class MachineLost(VmlabError):
    """QEMU ended or the guest stopped answering: this says nothing about the module."""


class EmulatorFault(MachineLost):
    """The emulator, not the guest's code, broke the guest: `guest/emulator_fault.py` has the evidence for it."""


def hides_frames(caught: object) -> bool:
    """True if an exception is a `ModuleError`, whose traceback is shown without the lab's frames.

    For `__tracebackhide__`, which pytest calls with its ExceptionInfo. Any other exception keeps every frame, and so
    does `--full-trace`.
    """
    return isinstance(getattr(caught, "value", None), ModuleError)


_MOST_NAMED = 6
"""Maximum number of names in one line; of more names only the nearest are shown."""
_FEW = 3
_NEAR = 0.5
"""Least similarity, from 0 to 1, of a word that is named as near; difflib's own default for a good match is 0.6."""


def nearest(word: str, words: Iterable[str], *, listing: str = "") -> str:
    """Return a hint with the known word closest to `word`; if none is close, with all words, or up to three near ones.

    `listing` is the command that lists all words; the hint names it when it shows only some.
    """
    import difflib

    known = sorted(set(words))
    close = closest(word, known)
    if close:
        return f"did you mean {close!r}?"
    if len(known) <= _MOST_NAMED:
        return f"known: {', '.join(known)}" if known else "none is known"
    near = difflib.get_close_matches(word, known, n=_FEW, cutoff=_NEAR)
    if not near:
        return f"`{listing}` lists all {len(known)}" if listing else f"known: {some(known)}"
    return f"nearest of {len(known)}: {', '.join(near)}" + (f"; `{listing}` lists all" if listing else "")


def closest(word: str, words: Iterable[str]) -> str:
    """Return the known word that was most likely meant; empty if none is close."""
    import difflib

    known = sorted(set(words))
    found = [candidate for candidate in known if word and candidate.startswith(word)]
    return next(iter(found or difflib.get_close_matches(word, known, n=1, cutoff=0.6)), "")


def some(names: Iterable[str]) -> str:
    """Join names in one line: up to six names, else three and the number of the others."""
    listed = list(names)
    if len(listed) <= _MOST_NAMED:
        return ", ".join(listed)
    return f"{', '.join(listed[:_FEW])} and {len(listed) - _FEW} more"
