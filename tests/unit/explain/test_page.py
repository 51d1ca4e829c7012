# SPDX-License-Identifier: MIT
"""A page is standalone and reproducible, and escapes all printed output."""

from __future__ import annotations

import html.parser
import re
from collections import Counter

import pytest

from builder import page as page_module
from builder.__main__ import main
from builder.claim import Claim
from builder.kernels import Outcome
from builder.page import pages
from builder.source import Source
from vmlab.errors import UsageError

from .samples import KEY, finding, kernel, kernels, question, statement

_TODAY = kernels({"debian11-5.10": "finit_module", "debian12-6.1": "finit_module", "debian13-7.3": "finit_module"})
_EMPTY = {"meta", "br", "img", "link", "hr"}


class _Reader(html.parser.HTMLParser):
    """Collects ids and references, and fails at a tag that closes no open one."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids[values.get("id") or ""] += 1
        self.references += [value for name in ("href", "src") if (value := values.get(name))]
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _read(text: str) -> _Reader:
    reader = _Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


def test_both_languages_are_made_and_lead_to_each_other() -> None:
    made = pages([question()], _TODAY)
    assert [*made] == ["en.html", "zh-Hant-TW.html"]
    assert "zh-Hant-TW.html" in _read(made["en.html"]).references
    assert "en.html" in _read(made["zh-Hant-TW.html"]).references
    assert "`insmod`" not in made["en.html"].partition("<main>")[2]
    assert "What does <code>insmod</code> call?" in made["en.html"]
    assert "<code>insmod</code> 呼叫了什麼？" in made["zh-Hant-TW.html"]


def test_every_reference_within_a_page_leads_somewhere_and_no_id_stands_twice() -> None:
    told = statement(told_by=(Source(file="kernel/module/main.c", symbol="load_module"),))
    for text in pages([question(told, remark=(told,))], _TODAY).values():
        reader = _read(text)
        inner = [each[1:] for each in reader.references if each.startswith("#")]
        assert inner
        assert not [each for each in inner if reader.ids[each] != 1]
        assert not [name for name, number in reader.ids.items() if name and number > 1]


def test_the_style_sheet_is_not_taken_for_text() -> None:
    style = pages([question()], _TODAY)["en.html"].partition("<style>")[2].partition("</style>")[0]
    assert '"DejaVu Sans Mono"' in style


def test_the_same_questions_and_data_give_the_same_bytes() -> None:
    assert pages([question()], _TODAY) == pages([question()], _TODAY)


def test_what_a_kernel_printed_never_becomes_markup() -> None:
    nasty = "</code></pre><script>alert(1)</script>&amp;`x`"
    shown = kernel("debian12-6.1", finding(call="finit_module", output=nasty, command=nasty))
    broken = kernel("debian13-7.3", outcome=Outcome.FAILED, reason=nasty)
    for text in pages([question()], (shown, broken)).values():
        assert "<script" not in text
        assert text.count("&lt;script&gt;") >= 3
        _read(text)


def test_an_output_of_every_kernel_is_shown_once_and_differences_are_marked() -> None:
    claim = Claim(finding=KEY, fact="call", differs="")
    answer = [statement(number, shown_by=(claim,)) for number in range(3)]
    mixed = kernels({"debian11-5.10": "init_module", "debian12-6.1": "finit_module", "debian13-7.3": "finit_module"})
    page = pages([question(*answer)], mixed)["en.html"]
    assert page.count("<mark>finit_module(3) = 0</mark>") == 1
    assert page.count("<mark>init_module(3) = 0</mark>") == 1
    assert re.search(r"<b>6\.1</b><b>7\.3</b>", page)
    same = pages([question()], _TODAY)["en.html"]
    assert "<mark>" not in same
    assert "the same on every kernel" in same


def test_a_sentence_says_on_which_kernel_it_is_not_shown() -> None:
    broken = kernel("debian13-7.3", outcome=Outcome.SKIPPED, reason="no strace")
    page = pages([question()], (*_TODAY[:2], broken))["en.html"]
    assert page.count("[not shown on 7.3]") == 3
    assert "On 7.3 this experiment cannot be made: <code>no strace</code>" in page


def test_two_kernels_of_one_line_go_by_their_targets() -> None:
    both = (_TODAY[1], kernel("debian12-6.1", finding(call="finit_module", output="other")))
    assert "<b>debian12-6.1</b>" in pages([question()], both)["en.html"]


def test_a_page_over_its_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "LARGEST_BYTES", 1000)
    with pytest.raises(UsageError, match=r"en\.html would have .* bytes, more than 1,000"):
        pages([question()], _TODAY)


def test_wrong_usage_is_one_line_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--findings", "nowhere.json", "--results", "nowhere.json"]) == 2
    assert capsys.readouterr().err == "explain: no such file: nowhere.json (nox -s explain makes it)\n"
    with pytest.raises(SystemExit) as caught:
        main(["--findings", "nowhere.json"])
    assert caught.value.code == 2
