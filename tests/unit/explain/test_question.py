# SPDX-License-Identifier: MIT
"""Texts for the pages are read strictly: a mistake is a one-line error that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.question import Language, read_questions
from builder.source import Source, place_of
from vmlab.errors import UsageError

from .samples import QUESTION_FILE, write_question

_NAMES = ("5.10", "6.1", "7.3")


def test_a_question_is_read_in_both_languages(tmp_path: Path) -> None:
    write_question(tmp_path)
    (question,) = read_questions(tmp_path)
    assert question.asked.in_(Language.ZH) == "`insmod` 呼叫了什麼？"
    assert question.answer[0].shown_by[0].words == "call equals 'finit_module'"


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('id = "load"', "id = ", "load.toml: not valid TOML"),
        ("shown_by = [{ finding", "shown_bye = [{ finding", "shown_bye: unknown key (did you mean 'shown_by'?)"),
        ('zh = "它呼叫 `finit_module`。"', "", "load.toml: answer[0].zh: this key is missing"),
        (', equals = "finit_module"', "", "a claim has one of equals"),
        ('zh = "確實如此。"', 'zh = "確實如此。對。"', "load.toml: not one sentence in zh-Hant-TW"),
        ('en = "So it does."', 'en = "So it does"', "load.toml: not one sentence in en"),
        ('file = "kernel/module/main.c"', 'file = "/kernel/main.c"', "not a path in the kernel's tree"),
        ('file = "kernel/module/main.c", symbol = "load_module"', 'commit = "1aaba1"', "a commit needs 12 hex digits"),
        ('file = "kernel/module/main.c", symbol = "load_module"', 'page = "http://x/"', "a page needs a subject and"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(tmp_path: Path, old: str, new: str, word: str) -> None:
    assert old in QUESTION_FILE
    write_question(tmp_path, QUESTION_FILE.replace(old, new))
    with pytest.raises(UsageError) as caught:
        read_questions(tmp_path)
    assert word in str(caught.value)
    assert "load.toml" in str(caught.value)


def test_an_answer_has_three_sentences(tmp_path: Path) -> None:
    before, *sentences = QUESTION_FILE.partition("[[experiment]]")[0].split("[[answer]]")
    shown = QUESTION_FILE.partition("[[experiment]]")[2]
    write_question(tmp_path, "[[answer]]".join([before, *sentences[:2]]) + "[[experiment]]" + shown)
    with pytest.raises(UsageError, match="2 sentences, and an answer has 3"):
        read_questions(tmp_path)


def test_a_finding_stands_once(tmp_path: Path) -> None:
    write_question(tmp_path)
    (tmp_path / "other.toml").write_text(QUESTION_FILE.replace('id = "load"', 'id = "other"'), encoding="utf-8")
    with pytest.raises(UsageError, match=r"finding 'load\.call' stands twice"):
        read_questions(tmp_path)


def test_a_file_of_the_kernel_is_linked_where_it_lay_in_each_release() -> None:
    links = place_of(Source(file="kernel/module/main.c"), _NAMES).links
    assert [link.word for link in links] == ["v5.10", "v6.1", "v7.3"]
    assert [link.url.partition("/tree/")[2] for link in links] == [
        "kernel/module.c?h=v5.10",
        "kernel/module/main.c?h=v6.1",
        "kernel/module/main.c?h=v7.3",
    ]


def test_a_source_may_be_of_some_releases_only() -> None:
    assert [link.word for link in place_of(Source(file="a/b.c", since="6.1"), _NAMES).links] == ["v6.1", "v7.3"]
    assert [link.word for link in place_of(Source(file="a/b.c", release="6.5"), _NAMES).links] == ["v6.5"]
    with pytest.raises(UsageError, match="no kernel on the page is meant"):
        place_of(Source(file="a/b.c", before="5.0"), _NAMES)


def test_a_commit_is_shown_with_the_release_that_has_it() -> None:
    place = place_of(Source(commit="1aaba11da9aa", release="6.4", subject="driver core: class"), _NAMES)
    assert (place.title, place.links[0].word) == ("driver core: class", "1aaba11da9aa (v6.4)")
