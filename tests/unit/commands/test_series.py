# SPDX-License-Identifier: MIT
"""`vmlab compare`, `series` and `plot`: a line and a status for an error, only the answer otherwise."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from unit.timing.measures import document, series, turns
from vmlab.commands import main as cli
from vmlab.timing.document import write_document
from vmlab.timing.series import Series, TimingSource


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VMLAB_STORE", str(tmp_path / "store"))


def _write(name: str, *rows: Series) -> str:
    write_document(document(*rows), Path(name))
    return name


def _exact(name: str, cost: float) -> str:
    return _write(name, series([cost], source=TimingSource.ICOUNT))


@pytest.mark.parametrize(("after", "status"), [(1000.0, 0), (900.0, 0), (1001.0, 1), (0.0, 3)])
def test_the_status_is_1_for_slower_and_3_for_what_nobody_can_tell(after: float, status: int) -> None:
    assert cli.main(["compare", _exact("a.json", 1000.0), _exact("b.json", after)]) == status


def test_a_clock_of_two_runs_is_status_3_and_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", _write("a.json", series([5.0])), _write("b.json", series([50.0]))]) == 3
    shown = capsys.readouterr().out
    assert "side by side, or with --vmlab-timing icount" in shown
    assert shown.endswith("verdict: INCONCLUSIVE\n")


def test_the_margin_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    before, after = (series(side, interleaving="a") for side in turns(slowdown=1.03, noise=0.01))
    files = [_write("a.json", before), _write("b.json", after)]
    assert cli.main(["compare", *files]) == 0
    assert cli.main(["compare", *files, "--margin", "0.01"]) == 1
    assert cli.main(["compare", *files, "--margin", "5"]) == 2
    assert "margin must be between 0 and 1, got 5.0" in capsys.readouterr().err


def test_the_json_is_the_only_thing_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", _exact("a.json", 1000.0), _exact("b.json", 2000.0), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "slower"


def test_another_source_is_wrong_usage_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    files = [_exact("a.json", 1000.0), _write("b.json", series([1000.0]))]
    assert cli.main(["compare", *files]) == 2
    shown = capsys.readouterr().err.strip().splitlines()
    assert len(shown) == 1
    assert "cannot compare" in shown[0]
    assert cli.main(["compare", *files, "--any-source"]) == 3
    assert "DIFFERENT timing source: 'icount' before, 'clock' after" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["compare", "a.json"], ["series"], ["plot"]])
@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "vmlab series", "schema": 99}', "NaN"])
def test_a_bad_file_is_one_line_and_status_2(command: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    _exact("a.json", 1000.0)
    Path("bad.json").write_text(text)
    assert cli.main([*command, "bad.json"]) == 2
    shown = capsys.readouterr()
    assert len(shown.err.strip().splitlines()) == 1
    assert shown.err.startswith("vmlab: 'bad.json' ")
    assert shown.out == ""


def test_nothing_in_common_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    files = [_write("a.json", series([1.0], name="a")), _write("b.json", series([1.0], name="b"))]
    assert cli.main(["compare", *files]) == 2
    assert "no series in common" in capsys.readouterr().err


def test_series_lists_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["series", _write("a.json", series({7: [1.0, 2.0, 3.0]}))]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == ["fib", "debian12-6.1", "ns", "(clock)", "7", "2", "1.5", "to", "2.5", "3"]


def test_series_are_handed_to_pyperf_and_what_is_left_out_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["series", _write("a.json", series({1: [5.0], 2: [0.0]})), "--pyperf", "out.json"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "out.json\n"
    assert shown.err.startswith("note: left out: fib n=2")
    assert json.loads(Path("out.json").read_text())["version"] == "1.0"


def test_plot_writes_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plot", _write("a.json", series([1.0])), "--svg", "out.svg"]) == 0
    assert Path("out.svg").read_text().startswith("<svg ")
    assert capsys.readouterr().out == "out.svg\n"


def test_a_picture_that_cannot_be_written_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plot", _write("a.json", series([1.0])), "--svg", "none/out.svg"]) == 1
    assert "cannot write to 'none'" in capsys.readouterr().err


def test_plot_of_one_name(capsys: pytest.CaptureFixture[str]) -> None:
    file = _write("a.json", series([1.0], name="read"), series([1.0], name="write"))
    assert cli.main(["plot", file, "--name", "write"]) == 0
    assert capsys.readouterr().out.startswith("write\n")
    assert cli.main(["plot", file, "--name", "writ"]) == 2
    assert "did you mean 'write'?" in capsys.readouterr().err


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", "●"), ("ascii", "o")])
def test_plot_uses_the_letters_that_the_terminal_has(encoding: str, mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    assert cli.main(["plot", _write("a.json", series([1.0], name="λ"))]) == 0
    sys.stdout.flush()
    assert f"{mark} debian12-6.1" in written.getvalue().decode(encoding)


def test_a_cost_outside_of_its_quartiles_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    # No value has a majority, so the cost is the least one, below the first quartile.
    taken = [1000.0, 1000.0, 1000.0, *map(float, range(1001, 1041))]
    assert cli.main(["series", _write("a.json", series({1: taken}, source=TimingSource.ICOUNT))]) == 0
    assert "it may be below the quartiles" in capsys.readouterr().out


def test_a_cost_within_its_quartiles_needs_no_explanation(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["series", _write("a.json", series([1000.0, 1001.0], source=TimingSource.CLOCK))]) == 0
    assert "it may be below" not in capsys.readouterr().out
