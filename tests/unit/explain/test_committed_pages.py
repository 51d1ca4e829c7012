# SPDX-License-Identifier: MIT
"""The committed pages match the committed data and texts, and stay within their size limits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from builder.build import faults
from builder.kernels import Kernel, read_kernels, stored_text
from builder.page import LARGEST_BYTES, file_name, pages
from builder.question import Language, Question, read_questions
from vmlab.catalogue.matrix import load_matrix

_EXPLAIN = Path(__file__).parents[3] / "docs" / "explain"
_PAGES = [_EXPLAIN / file_name(language) for language in Language]


@pytest.fixture(scope="module")
def kernels() -> tuple[Kernel, ...]:
    return read_kernels(_EXPLAIN / "data")


@pytest.fixture(scope="module")
def questions() -> tuple[Question, ...]:
    return read_questions(_EXPLAIN)


def test_the_pages_are_what_the_data_and_the_texts_give(
    questions: tuple[Question, ...], kernels: tuple[Kernel, ...]
) -> None:
    made = pages(questions, kernels)
    # Not `==`: pytest would print two whole pages.
    stale = [path.name for path in _PAGES if path.read_text(encoding="utf-8") != made[path.name]]
    assert stale == [], "PYTHONPATH=docs/explain python -m builder makes them anew"


def test_the_data_are_of_the_default_matrix(kernels: tuple[Kernel, ...]) -> None:
    assert {kernel.target for kernel in kernels} == {target.id for target in load_matrix().select("default")}
    assert len(kernels) >= 4


def test_no_experiment_failed_when_they_were_taken(
    questions: tuple[Question, ...], kernels: tuple[Kernel, ...]
) -> None:
    assert faults(questions, kernels) == ()


def test_the_data_are_as_they_are_written(kernels: tuple[Kernel, ...]) -> None:
    stale = [
        kernel.target
        for kernel in kernels
        if (_EXPLAIN / "data" / f"{kernel.target}.json").read_text(encoding="utf-8") != stored_text(kernel)
    ]
    assert stale == []


@pytest.mark.parametrize("path", _PAGES, ids=lambda path: path.stem)
def test_a_page_stands_alone_without_script_and_is_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < LARGEST_BYTES
    markup = re.sub(r"(?s)<(pre|code)\b.*?</\1>", "", text)
    assert not re.search(r"<script|<link|<img|<iframe|\son\w+=|javascript:|@import|url\(", markup, re.IGNORECASE)


def test_nothing_of_the_host_that_made_them_is_left() -> None:
    files = [*_PAGES, *sorted((_EXPLAIN / "data").glob("*.json"))]
    # Locations of checkouts, stores and scratch directories: a guest has none of these.
    found = [
        (path.name, word)
        for path in files
        for word in ("/.cache/vmlab", "/.venv/", "/.nox/", "site-packages", "/pytest-of-")
        if word in path.read_text(encoding="utf-8")
    ]
    assert found == []
