# SPDX-License-Identifier: MIT
"""The build from a run's files, or from stored data, to the pages on disk: completely or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder.check import gaps
from builder.kernels import Kernel, in_order, read_kernels, stored_text
from builder.page import pages
from builder.question import Question, read_questions
from builder.recording import recorded


def build(directory: Path, *, findings: Path | None = None, results: Path | None = None) -> tuple[str, ...]:
    """Write the pages in `directory`, and the data too if a run's files are given.

    Returns a line for each experiment that failed or is missing: the pages show it, and the caller should exit
    non-zero. `UsageError` when a statement does not hold; then nothing is written.
    """
    data = directory / "data"
    new: list[Kernel] = []
    if findings is not None and results is not None:
        # The checkout's root and the user's home must not be published.
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
    """Experiments that failed, were lost or did not run, on the page or not."""
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
