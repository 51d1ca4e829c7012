# SPDX-License-Identifier: MIT
"""Plots show every measured series, as standalone files, whatever the names contain."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from unit.timing.measures import series
from vmlab.errors import UsageError
from vmlab.report.plot.groups import Picture, pictures_of
from vmlab.report.plot.svg import svg
from vmlab.report.plot.text import can_show_unicode, text_plot
from vmlab.timing.series import Series, TimingSource, Unit

_SVG = "{http://www.w3.org/2000/svg}"
_TARGETS = ("debian11-5.10", "debian12-6.1", "debian13-6.12", "debian13-7.3")
_SIZES = (10, 100, 1_000, 10_000, 100_000)


def _kernels(*, source: TimingSource = TimingSource.CLOCK, name: str = "read") -> list[Series]:
    return [
        series(
            {n: [n * factor, n * factor + 1.0, n * factor + 9.0] for n in _SIZES}, source=source, name=name, target=of
        )
        for factor, of in enumerate(_TARGETS, start=1)
    ]


def _drawn(pictures: list[Picture]) -> ElementTree.Element:
    return ElementTree.fromstring(svg(pictures))


def _texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{_SVG}text")]


def _marks(root: ElementTree.Element) -> int:
    return sum(element.get("class") == "mark" for element in root.iter())


def test_a_picture_is_of_one_name_source_and_unit_with_a_line_per_kernel() -> None:
    pictures = pictures_of([*_kernels(), *_kernels(source=TimingSource.ICOUNT), *_kernels(name="write")])
    assert [(picture.title, picture.y_title) for picture in pictures] == [
        ("read", "ns (clock) per operation"),
        ("read", "instructions (icount) per operation"),
        ("write", "ns (clock) per operation"),
    ]
    assert all(tuple(line.name for line in picture.lines) == _TARGETS for picture in pictures)


def test_an_exact_source_shows_its_least_batch_and_a_clock_its_median_and_spread() -> None:
    samples = {5: [3.0, 1.0, 2.0]}
    (exact,) = pictures_of([series(samples, source=TimingSource.EMULATED_PMU, unit=Unit.CYCLES)])
    (clock,) = pictures_of([series(samples)])
    assert (exact.lines[0].marks[0].cost, exact.lines[0].marks[0].spread) == (1.0, None)
    assert clock.lines[0].marks[0].cost == 2.0
    assert clock.lines[0].marks[0].spread is not None


def test_one_name_can_be_chosen_and_an_unknown_one_names_the_nearest() -> None:
    rows = [*_kernels(), *_kernels(name="write")]
    assert [picture.title for picture in pictures_of(rows, name="write")] == ["write"]
    with pytest.raises(UsageError, match="unknown series 'rea'") as caught:
        pictures_of(rows, name="rea")
    assert "did you mean 'read'?" in str(caught.value)


def test_nothing_to_plot_is_an_error_and_no_empty_picture() -> None:
    for rows in ([], [series({})]):
        with pytest.raises(UsageError, match="nothing to plot"):
            pictures_of(rows)


@pytest.mark.parametrize("sizes", [(92,), (0, 1, 2), _SIZES, (1, 10**18)])
@pytest.mark.parametrize("kernels", [1, 4, 9])
def test_every_point_has_its_mark_in_the_file_and_within_the_frame(sizes: tuple[int, ...], kernels: int) -> None:
    rows = [series(dict.fromkeys(sizes, (5.0, 6.0)), target=f"kernel-{number}") for number in range(kernels)]
    root = _drawn(pictures_of(rows))
    assert _marks(root) == len(sizes) * kernels + kernels  # one each in the legend
    for element in root.iter():
        found = re.fullmatch(r"translate\(([\d.-]+) ([\d.-]+)\)", element.get("transform", ""))
        if element.get("class") == "mark" and found:
            assert 70 <= float(found[1]) <= 740
            assert 40 <= float(found[2]) <= int(root.get("height", "0"))


def test_axes_have_titles_with_unit_and_source_and_say_when_they_are_logarithmic() -> None:
    texts = _texts(_drawn(pictures_of(_kernels())))
    assert "n (log scale)" in texts
    assert "ns (clock) per operation (log scale)" in texts
    assert {"read", *_TARGETS} <= set(texts)


def test_the_same_series_give_the_same_bytes() -> None:
    assert svg(pictures_of(_kernels())) == svg(pictures_of(_kernels()))


def test_a_file_refers_to_nothing_outside_and_runs_nothing() -> None:
    text = svg(pictures_of(_kernels()))
    assert text.count("http") == 1  # the XML namespace
    assert not re.search(r"<script|<image|href|url\(|@import|<!", text)
    assert "prefers-color-scheme: dark" in text


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a & b", "\"'>", "]]>", "a\x1b\0b", "ü → λ"])
def test_a_name_is_only_ever_text(name: str) -> None:
    root = _drawn(pictures_of([series([1.0, 2.0], name=name, target=name)]))
    shown = name.replace("\x1b", "\ufffd").replace("\0", "\ufffd")
    assert _texts(root).count(shown) == 2
    assert root.find(f"{_SVG}script") is None


def test_text_shows_each_kernel_and_where_several_meet() -> None:
    (picture,) = pictures_of(_kernels())
    text = text_plot(picture, width=80, height=16, is_unicode=True)
    for mark, target in zip("●■▲◆", _TARGETS, strict=True):
        assert f"{mark} {target}" in text
    assert "ns (clock) per operation (log scale)" in text
    assert "¤ several series" in text
    assert max(map(len, text.splitlines())) <= 80


def test_text_for_a_terminal_without_unicode_is_ascii_whatever_the_names() -> None:
    (picture,) = pictures_of([series({1: [5.0], 2: [9.0]}, name="λ\x1b[31m", target="ü")])
    text = text_plot(picture, width=60, height=10, is_unicode=False)
    assert text.isascii()
    assert "\x1b" not in text
    assert text.count("o") >= 3


@pytest.mark.parametrize("sizes", [(92,), (0, 1, 2), _SIZES, (1, 10**18)])
@pytest.mark.parametrize("width", [1, 40, 200])
def test_text_of_any_range_and_width_is_drawn(sizes: tuple[int, ...], width: int) -> None:
    (picture,) = pictures_of([series(dict.fromkeys(sizes, (5.0,)), target="x")])
    text = text_plot(picture, width=width, height=10, is_unicode=False)
    assert sum(re.split("[|+]", line)[1].count("o") for line in text.splitlines()[2:12]) == len(sizes)


def test_encodings_are_known_by_what_they_can_write() -> None:
    assert can_show_unicode("utf-8")
    assert not any(can_show_unicode(name) for name in ("ascii", "latin-1", "no such encoding", None))
