# SPDX-License-Identifier: MIT
"""`vmlab time`: an operation timed without a test, on the chosen targets, alone or against another module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vmlab.catalogue.target import Target
from vmlab.errors import UsageError
from vmlab.host.exclusive import alone
from vmlab.lab.freezer import Stage
from vmlab.lab.interleaved import time_both
from vmlab.lab.lab import Lab
from vmlab.lab.timed import fork_timed, require_possible
from vmlab.module.tree.locate import read_module
from vmlab.report.comparison import STATUS, print_comparison
from vmlab.report.measurements import print_series
from vmlab.timing.compare import Rules
from vmlab.timing.document import SeriesDocument, new_document, write_document
from vmlab.timing.operation import parse_operation
from vmlab.timing.pairing import compare_documents
from vmlab.timing.series import Series

_MOST_SIZES = 1000
_MOST_DIGITS = 20
"""Digits of the largest 64-bit number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The operation to time, its sizes and the number of batches."""

    operation: str
    """The operation as the stopwatch's arguments, with `{n}` for the size."""
    sizes: tuple[int, ...] = (0,)
    batches: int = 100


def parse_sizes(text: str) -> tuple[int, ...]:
    """Parse a comma-separated list of sizes, `10,1000`; raises `UsageError` for anything else."""
    words = [word.strip() for word in text.split(",")]
    are_numbers = all(word.isdecimal() and len(word) <= _MOST_DIGITS for word in words)
    if not are_numbers or not 0 < len(set(words)) == len(words) <= _MOST_SIZES:
        raise UsageError(f"--n must be 1 to {_MOST_SIZES} different numbers, got {text!r}", hint="e.g. 10,100")
    return tuple(map(int, words))


def time_alone(lab: Lab, question: Question, *, out: Path | None) -> int:
    """Time an operation in a fork of each chosen target, print its cost, and write it to `out`."""
    _require_sound(question)
    _ = lab.source
    require_possible(lab.settings, lab.targets)
    document = new_document([_measure(lab, target, question) for target in lab.targets])
    _keep(document, out)
    print_series(document)
    return 0


def time_against(lab: Lab, before: Path, question: Question, rules: Rules, *, out: Path | None, as_json: bool) -> int:
    """Time the lab's module against the one in the directory `before`; returns the verdict's exit status."""
    _require_sound(question)
    at = parse_operation(question.operation)
    modules = (before, lab.settings.module)
    for module in modules:
        # Report a wrong directory before anything is built for the other.
        read_module(module, project=lab.settings.stated)
    require_possible(lab.settings, lab.targets)
    both = [time_both(lab, modules, target, question.operation, at, question.sizes) for target in lab.targets]
    documents = [new_document(side) for side in zip(*both, strict=True)]
    _keep(documents[1], out)
    compared = compare_documents(documents[0], documents[1], rules)
    print_comparison(compared, as_json=as_json)
    return STATUS[compared.verdict]


def _require_sound(question: Question) -> None:
    """Raise `UsageError` for an operation that is invalid at one of its sizes, before anything is built."""
    at = parse_operation(question.operation)
    for size in question.sizes:
        at(size)


def _measure(lab: Lab, target: Target, question: Question) -> Series:
    at = parse_operation(question.operation)
    wait = f"{target.id}: waiting for other guests' tests to end"
    with alone(on_wait=lambda: lab.context.progress(wait)), fork_timed(lab, target, Stage.LOADED) as found:
        watch = found.stopwatch
        lab.context.notice(f"{target.id}: timed with {watch.source}: {watch.proof}")
        for refused in found.refused:
            lab.context.notice(f"{target.id}: not with {refused}")
        taken = {n: watch.measure(at(n), batches=question.batches) for n in question.sizes}
        return watch.series(question.operation, taken)


def _keep(document: SeriesDocument, out: Path | None) -> None:
    if out is not None:
        write_document(document, out)


def sizes_of(operation: str, text: str | None) -> Sequence[int]:
    """Return the sizes to time; an operation needs them if and only if it contains `{n}`."""
    if ("{n}" in operation) != (text is not None):
        raise UsageError(
            "the operation contains {n}, but --n is missing"
            if text is None
            else "--n was given, but the operation does not contain {n}",
            hint="such as: vmlab time 'pread /dev/fibonacci {n} 300' --n 10,100,1000",
        )
    return parse_sizes(text) if text is not None else (0,)
