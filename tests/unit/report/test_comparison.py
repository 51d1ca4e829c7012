# SPDX-License-Identifier: MIT
"""The comparison's table is complete, and its status treats nothing undecided as success."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from unit.timing.measures import document, provenance, series, turns
from vmlab.report.comparison import STATUS, comparison_data, print_comparison
from vmlab.timing.compare import Verdict
from vmlab.timing.document import SeriesDocument
from vmlab.timing.pairing import compare_documents
from vmlab.timing.series import Series, TimingSource


def _exact(cost: float, name: str = "fib") -> Series:
    return series([cost], source=TimingSource.ICOUNT, name=name)


def _lines(before: SeriesDocument, after: SeriesDocument, capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_comparison(compare_documents(before, after), as_json=False)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_an_exact_row_has_the_difference_in_instructions_and_in_percent(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _lines(document(_exact(2_000_000)), document(_exact(2_000_300)), capsys)
    assert lines[0] == "series target counts n before after difference change 99 % interval verdict"
    assert lines[1] == "fib debian12-6.1 instructions (icount) 92 2,000,000 2,000,300 +300 +0.0150 % - slower"
    assert lines[2:] == ["verdict: SLOWER"]


def test_a_row_in_turns_has_an_interval(capsys: pytest.CaptureFixture[str]) -> None:
    before, after = (document(series(side, interleaving="a")) for side in turns(slowdown=1.5))
    assert re.search(r"[+]4\d[.]\d to [+]5\d[.]\d % slower$", _lines(before, after, capsys)[1])


def test_no_figure_is_cut_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    rows = series({10**6: [35_144_620.0]}, name="a long name of a series", target="debian13-6.12-rt+strict")
    (line,) = [line for line in _lines(document(rows), document(rows), capsys) if "35,144,620" in line]
    assert line.count("35,144,620") == 2
    assert "…" not in line


def test_a_reason_is_told_once_for_all_that_it_holds_for(capsys: pytest.CaptureFixture[str]) -> None:
    before = document(*(series({1: [5.0], 2: [6.0]}, name=name) for name in "abc"), _exact(1))
    lines = _lines(before, before, capsys)
    reasons = [line for line in lines if line.startswith("inconclusive at n = 1, 2: not measured in turns")]
    assert len(reasons) == 1
    assert reasons[0].endswith("[a on debian12-6.1, b on debian12-6.1, c on debian12-6.1]")
    assert lines[-1] == "verdict: INCONCLUSIVE"


def test_what_differs_besides_the_code_is_loud(capsys: pytest.CaptureFixture[str]) -> None:
    after = document(replace(_exact(1), provenance=provenance(release="6.1.0-57")), host={"processor": "Xeon"})
    lines = _lines(document(_exact(1)), after, capsys)
    assert "DIFFERENT kernel: '6.1.0-56-cloud-amd64' before, '6.1.0-57' after [fib on debian12-6.1]" in lines
    assert "DIFFERENT host's processor: 'EPYC' before, 'Xeon' after" in lines


def test_what_is_on_one_side_alone_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = series({92: [1.0], 7: [1.0], 8: [1.0]}, source=TimingSource.ICOUNT)
    lines = _lines(document(sizes, _exact(1, "old")), document(_exact(1), _exact(1, "new")), capsys)
    assert "only before: n = 7, 8 [fib on debian12-6.1]" in lines
    assert "only before: old on debian12-6.1" in lines
    assert "only after: new on debian12-6.1" in lines


def test_a_name_is_never_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    odd = document(series([1.0], name="[red]x[/red] [/]"))
    assert sum("[red]x[/red] [/]" in line for line in _lines(odd, odd, capsys)) == 3


def test_the_json_has_every_verdict_and_figure(capsys: pytest.CaptureFixture[str]) -> None:
    compared = compare_documents(document(_exact(100)), document(_exact(150)))
    print_comparison(compared, as_json=True)
    data = json.loads(capsys.readouterr().out)
    assert data == json.loads(json.dumps(comparison_data(compared)))
    assert (data["schema"], data["verdict"], data["series"][0]["verdict"]) == (1, "slower", "slower")
    point = data["series"][0]["points"][0]
    assert (point["n"], point["difference"], point["ratio"], point["interval"]) == (92, 50, 1.5, None)


def test_only_slower_is_1_and_undecided_is_neither_fine_nor_slower() -> None:
    assert {str(word): status for word, status in STATUS.items()} == {
        "same": 0,
        "faster": 0,
        "slower": 1,
        "inconclusive": 3,
    }
    assert set(STATUS) == set(Verdict)
