# SPDX-License-Identifier: MIT
"""From a run's files, or from what is stored, to the pages on disk: all of it or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder.check import gaps
from builder.kernels import Kernel, in_order, read_kernels, stored_text
from builder.page import pages
from builder.question import Question, read_questions
from builder.recording import recorded


def build(directory: Path, *, findings: Path | None = None, results: Path | None = None) -> tuple[str, ...]:
    """Write the pages in `directory`, and the data too where a run's files are given.

    Returns a line for each experiment that failed or is missing: the pages say so, and whoever asked for them should
    not end well. `UsageError` where a statement does not stand; then nothing is written.
    """
    data = directory / "data"
    new: list[Kernel] = []
    if findings is not None and results is not None:
        # The root of the checkout, and whoever's home: neither is anybody else's business.
        new = recorded(
            findings, results, host_paths=(str(directory.parents[1].resolve()), str(Path.home()) + "/.cache")
        )
        replaced = {kernel.target for kernel in new}
        old = read_kernels(data) if any(data.glob("*.json")) else ()
        kernels = in_order([*new, *(kernel for kernel in old if kernel.target not in replaced)])
    else:
        kernels = read_kernels(data)
    questions = read_questions(directory)
    made = pages(questions, kernels)
    data.mkdir(exist_ok=True)
    for kernel in new:
        (data / f"{kernel.target}.json").write_text(stored_text(kernel), encoding="utf-8")
    for name, text in made.items():
        (directory / name).write_text(text, encoding="utf-8")
    return faults(questions, kernels)


def faults(questions: Sequence[Question], kernels: Sequence[Kernel]) -> tuple[str, ...]:
    """What failed, was lost or did not run, whether it stands on the page or not."""
    lines = [
        f"{row.test} on {kernel.target}: {row.outcome}: {row.reason or 'no reason was kept'}"
        for kernel in kernels
        for row in kernel.faults
    ]
    lines += [
        f"{gap.finding} on {gap.kernel.target}: {gap.absence.outcome}"
        for gap in gaps(questions, kernels)
        if gap.is_fault and not any(gap.kernel.faults)
    ]
    return tuple(lines)
