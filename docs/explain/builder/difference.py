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
    """A line of output, and whether the older kernel beside it has not got it there."""

    text: str
    is_different: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What these kernels printed, to the letter the same."""

    kernels: tuple[Kernel, ...]
    command: str
    lines: tuple[Line, ...]


def outputs(shown: Sequence[tuple[Kernel, str, str]]) -> tuple[Output, ...]:
    """Kernel, command and output of each, oldest first, put together where they are the same; the lines of each group
    are compared with those of the one before."""
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
                Line(text=text, is_different=is_new and bool(text))
                for text, is_new in zip(texts[place], _changes(keys, place), strict=True)
            ),
        )
        for place, ((command, _), kernels) in enumerate(groups.items())
    )


def _key(line: str, kernel: Kernel) -> str:
    """What a line is compared by: the kernel's own release in it is no difference."""
    found = re.match(r"[\d.]+[\w.+~]*(?:-\d+)?", kernel.release)
    return line.replace(found[0], "") if found is not None else line


def _changes(keys: list[list[str]], place: int) -> list[bool]:
    """Which lines the group before has not got there; of the first, which the next has no more."""
    if len(keys) == 1:
        return [False] * len(keys[place])
    own, other = keys[place], keys[place - 1 if place else 1]
    blocks = difflib.SequenceMatcher(None, own, other, autojunk=False).get_matching_blocks()
    matched = {line for block in blocks for line in range(block.a, block.a + block.size)}
    return [line not in matched for line in range(len(own))]
