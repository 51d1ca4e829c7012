# SPDX-License-Identifier: MIT
"""Kernels with equal output are grouped; in the other groups the differing lines are marked."""

from __future__ import annotations

from builder.difference import outputs

from .samples import kernel

_OLD, _MIDDLE, _NEW = (kernel(target) for target in ("debian11-5.10", "debian12-6.1", "debian13-7.3"))


def _marks(*shown: str) -> list[list[str]]:
    rows = [(each, "ls", text) for each, text in zip((_OLD, _MIDDLE, _NEW), shown, strict=False)]
    return [[line.text for line in output.lines if line.is_different] for output in outputs(rows)]


def test_the_same_output_is_shown_once() -> None:
    (output,) = outputs([(_OLD, "ls", "a\nb\n"), (_NEW, "ls", "a\nb")])
    assert ([kernel.name for kernel in output.kernels], len(output.lines)) == (["5.10", "7.3"], 2)
    assert not any(line.is_different for line in output.lines)


def test_a_line_that_one_kernel_lacks_is_marked_where_it_stands() -> None:
    assert _marks("a\nb\nc", "a\nc") == [["b"], []]


def test_a_line_that_is_another_is_marked_on_both_sides() -> None:
    assert _marks("a\nb\nc", "a\nB\nc") == [["b"], ["B"]]


def test_a_line_is_compared_with_the_kernel_before() -> None:
    assert _marks("a\nb", "a\nb\nx", "a\nx") == [[], ["x"], []]
    assert _marks("a\nb", "a", "a\nb") == [["b"], []]
    assert _marks("a", "b", "c") == [["a"], ["b"], ["c"]]


def test_an_empty_line_is_no_difference_to_see() -> None:
    assert _marks("a", "a\n\nb") == [[], ["b"]]


def test_another_command_is_another_group_though_the_output_is_the_same() -> None:
    assert [output.command for output in outputs([(_OLD, "ls", "a"), (_NEW, "ls -l", "a")])] == ["ls", "ls -l"]


def test_no_output_is_an_output() -> None:
    (output,) = outputs([(_OLD, "true", "")])
    assert output.lines == ()


def test_a_kernels_own_release_is_shown_and_is_no_difference() -> None:
    rows = [(_OLD, "uname -a", "Linux 5.10.0-46-cloud-amd64 x"), (_NEW, "uname -a", "Linux 7.3.4+deb13-cloud-amd64 x")]
    old, new = outputs(rows)
    assert [line.is_different for line in (*old.lines, *new.lines)] == [False, False]
    assert old.lines[0].text == "Linux 5.10.0-46-cloud-amd64 x"
