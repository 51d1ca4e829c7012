# SPDX-License-Identifier: MIT
"""Outputs of the same command on several kernels: which are the same, and which lines of the others differ."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from builder.kernels import Kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of output, and whether some other kernel has not got it there."""

    text: str
    is_different: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What these kernels printed, to the letter the same."""

    kernels: tuple[Kernel, ...]
    command: str
    lines: tuple[Line, ...]


def outputs(shown: Sequence[tuple[Kernel, str, str]]) -> tuple[Output, ...]:
    """Kernel, command and output of each, put together where they are the same, each line compared with all others."""
    groups: dict[tuple[str, str], list[Kernel]] = {}
    for kernel, command, output in shown:
        groups.setdefault((command, output.strip("\n")), []).append(kernel)
    texts = [output.splitlines() for _, output in groups]
    keys = [[_key(line, kernels[0]) for line in text] for text, kernels in zip(texts, groups.values(), strict=True)]
    return tuple(
        Output(
            kernels=tuple(kernels),
            command=command,
            lines=tuple(
                Line(text=text, is_different=is_different)
                for text, is_different in zip(
                    texts[place], _differences(keys[place], keys[:place] + keys[place + 1 :]), strict=True
                )
            ),
        )
        for place, ((command, _), kernels) in enumerate(groups.items())
    )


def _key(line: str, kernel: Kernel) -> str:
    """What a line is compared by: the kernel's own release in it is no difference."""
    found = re.match(r"[\d.]+[\w.+~]*(?:-\d+)?", kernel.release)
    return line.replace(found[0], "") if found is not None else line


def _differences(own: list[str], others: list[list[str]]) -> list[bool]:
    common = [True] * len(own)
    for other in others:
        blocks = difflib.SequenceMatcher(None, own, other, autojunk=False).get_matching_blocks()
        matched = {line for block in blocks for line in range(block.a, block.a + block.size)}
        common = [each and line in matched for line, each in enumerate(common)]
    return [not each for each in common]
