# SPDX-License-Identifier: MIT
"""Outputs of the same command on several kernels: groups of equal outputs, and the lines in which the others differ."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from builder.kernels import Kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of output, and True if the older kernel's output lacks it there."""

    text: str
    is_different: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """An output that these kernels printed identically."""

    kernels: tuple[Kernel, ...]
    command: str
    lines: tuple[Line, ...]


def outputs(shown: Sequence[tuple[Kernel, str, str]]) -> tuple[Output, ...]:
    """Group kernel, command and output, oldest first, by equal outputs. The lines of each group are compared with those
    of the previous one."""
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
    """Comparison key of a line: the kernel's own release is not a difference."""
    found = re.match(r"[\d.]+[\w.+~]*(?:-\d+)?", kernel.release)
    return line.replace(found[0], "") if found is not None else line


def _changes(keys: list[list[str]], place: int) -> list[bool]:
    """Lines that the previous group lacks there; for the first group, lines that the next one lacks."""
    if len(keys) == 1:
        return [False] * len(keys[place])
    own, other = keys[place], keys[place - 1 if place else 1]
    blocks = difflib.SequenceMatcher(None, own, other, autojunk=False).get_matching_blocks()
    matched = {line for block in blocks for line in range(block.a, block.a + block.size)}
    return [line not in matched for line in range(len(own))]
