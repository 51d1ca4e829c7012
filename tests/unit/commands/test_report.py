# SPDX-License-Identifier: MIT
"""`vmlab report`: results are merged, summarized and exported; invalid input gets a one-line error and no output."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from unit.report.results import facts, row, run
from unit.timing.measures import series
from vmlab.commands import main as cli
from vmlab.report.files import read_result, write_result
from vmlab.report.kept import kept_notice
from vmlab.report.model import LOST_STATUS, Outcome, ShardFacts
from vmlab.report.schema import result_schema

_GOOD = ("fib::read", Outcome.PASSED, "")


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VMLAB_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)


def _write(name: str, target: str, outcome: Outcome = Outcome.PASSED, *, shard: int = 0, of: int = 2) -> None:
    result = run(row((f"fib::{name}", outcome, "why"), target=target, known=facts()))
    if shard:
        result = replace(result, shard=ShardFacts(index=shard, count=of, run="a", tests=1))
    write_result(result, Path(name))


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(Outcome.PASSED, 0), (Outcome.FAILED, 1), (Outcome.LOST, LOST_STATUS)],
)
def test_merge_prints_the_table_writes_the_file_and_ends_as_the_whole_run_would_have(
    capsys: pytest.CaptureFixture[str], outcome: Outcome, status: int
) -> None:
    _write("one", "debian12-6.1")
    _write("two", "debian13-6.12", outcome)
    assert cli.main(["report", "merge", "--out", "all", "one", "two"]) == status
    shown = capsys.readouterr()
    assert "debian12-6.1 " in shown.out
    assert "debian13-6.12 " in shown.out
    assert shown.out.rstrip().endswith("results: all/results.json")
    assert [target.target for target in read_result(Path("all/results.json")).targets] == [
        "debian12-6.1",
        "debian13-6.12",
    ]


def test_merge_prints_the_figures_that_were_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    write_result(replace(run(row(_GOOD, known=facts())), series=(series([5.0]),)), Path("one"))

    assert cli.main(["report", "merge", "one", "--out", "all"]) == 0

    shown = capsys.readouterr().out.splitlines()
    assert shown[-3].startswith("debian12-6.1: fib, ns (clock) per operation: 5 at n=")
    assert shown[-2] == "figures: vmlab series all, vmlab plot all"


def test_merge_replaces_no_results_that_it_did_not_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _write("one", "debian12-6.1")
    _write("build/vmlab", "debian13-6.12")
    before = Path("build/vmlab/results.json").read_bytes()

    assert cli.main(["report", "merge", "one"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "build/vmlab/results.json' has other results, which a merge would replace (name another directory: --out DIR)"
    )
    assert str(tmp_path) in line
    assert Path("build/vmlab/results.json").read_bytes() == before


def test_merge_writes_to_the_report_directory_if_that_has_no_other_results(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _write("one", "debian12-6.1")

    assert cli.main(["report", "merge", "one"]) == 0
    assert cli.main(["report", "merge", "build/vmlab"]) == 0

    assert capsys.readouterr().err == ""
    assert read_result(Path("build/vmlab/results.json")).targets[0].target == "debian12-6.1"


def test_merge_does_not_advertise_a_guest_that_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    told = (kept_notice("test_x", "kept-1"), "another notice")
    write_result(replace(run(row(_GOOD, known=facts())), notices=told), Path("one"))

    assert cli.main(["report", "merge", "one", "--out", "all"]) == 0

    assert "kept-1" not in capsys.readouterr().out
    assert read_result(Path("all/results.json")).notices == ("another notice",)


def test_merge_says_which_shard_is_missing_and_keeps_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    _write("one", "debian12-6.1", shard=1, of=3)
    _write("three", "debian12-6.1", shard=3, of=3)
    assert cli.main(["report", "merge", ".", "--out", "all"]) == 1
    assert capsys.readouterr().err == "vmlab: shard 2 of 3 is missing\n"
    assert read_result(Path("all/results.json")).missing == ("shard 2 of 3 is missing",)


def test_targets_that_were_named_must_be_there(capsys: pytest.CaptureFixture[str]) -> None:
    _write("one", "debian12-6.1")
    wanted = ["report", "merge", "one", "--out", "all", "--vmlab-target", "debian12-6.1,debian13-6.12"]
    assert cli.main(wanted) == 1
    assert "no results of debian13-6.12" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "why"),
    [("{", "damaged"), ('{"schema": 4}', "unknown schema"), ("[]", "unknown schema")],
)
def test_a_damaged_part_ends_the_merge_in_one_line_with_nothing_written(
    capsys: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    _write("one", "debian12-6.1")
    Path("two").mkdir()
    Path("two/results.json").write_text(text)
    assert cli.main(["report", "merge", "one", "two", "--out", "all"]) == 2
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert line.startswith("vmlab: ")
    assert "two/results.json" in line
    assert why in line
    assert shown.out == ""
    assert not Path("all").exists()


@pytest.mark.parametrize("words", [["merge"], ["merge", "none"], ["summary", "none"], ["durations", "none"]])
def test_a_place_with_nothing_in_it_is_one_line(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert cli.main(["report", *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_summary_and_annotations_are_of_the_last_run_unless_another_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fault = replace(run(row(("t", Outcome.FAILED, "x.c:3: broken"), known=facts())).targets[0].tests[0], source="x.c:3")
    result = run(replace(run(row(known=facts())).targets[0], tests=(fault,)))
    write_result(result, tmp_path / "build" / "vmlab")
    assert cli.main(["report", "summary"]) == 0
    assert "x.c:3: broken" in capsys.readouterr().out
    assert cli.main(["report", "annotate", "--vmlab-module", "drivers/x"]) == 0
    assert capsys.readouterr().out.startswith("::error file=drivers/x/x.c,line=3,")
    # The default is the module of the run.
    ran = tmp_path / "drivers" / "y"
    ran.mkdir(parents=True)
    write_result(replace(result, settings={"module": f"{ran} (--vmlab-module)"}), tmp_path / "build" / "vmlab")
    assert cli.main(["report", "annotate"]) == 0
    assert capsys.readouterr().out.startswith("::error file=drivers/y/x.c,line=3,")
    # In a job, paths are relative to the repository, independent of the command's directory.
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "drivers"))
    assert cli.main(["report", "annotate", "--vmlab-module", "drivers/x"]) == 0
    assert capsys.readouterr().out.startswith("::error file=x/x.c,line=3,")
    # A checkout below the workspace is the repository; its submodule is not.
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    (tmp_path / "drivers" / ".git").mkdir()
    (tmp_path / "drivers" / "x").mkdir()
    (tmp_path / "drivers" / "x" / ".git").touch()
    assert cli.main(["report", "annotate", "--vmlab-module", "drivers/x"]) == 0
    assert capsys.readouterr().out.startswith("::error file=x/x.c,line=3,")


def test_an_annotation_stands_in_a_test_only_if_that_is_below_this_directory(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    known = run(row(("t", Outcome.FAILED, "assert 1 == 2"), known=facts())).targets[0]
    places = ("tests/test_here.py:3", "tests/test_elsewhere.py:3")
    tests = tuple(replace(known.tests[0], test=place, place=place, reason=place) for place in places)
    write_result(run(replace(known, tests=tests)), tmp_path / "build" / "vmlab")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_here.py").touch()

    assert cli.main(["report", "annotate"]) == 0

    here, elsewhere = sorted(capsys.readouterr().out.splitlines(), key=lambda line: "elsewhere" in line)
    assert here.startswith("::error file=tests/test_here.py,line=3,")
    assert "file=" not in elsewhere


def test_durations_are_written_and_can_be_given_to_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    _write("one", "debian12-6.1")
    assert cli.main(["report", "durations", "one", "--out", "durations.json"]) == 0
    assert capsys.readouterr().out == "1 durations: durations.json\n"
    assert json.loads(Path("durations.json").read_text())["targets"]["debian12-6.1"]["setup_s"] == 42.78
    assert cli.main(["report", "durations", "one"]) == 2
    assert "--out" in capsys.readouterr().err


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(result_schema()))


@pytest.mark.parametrize("form", ["github", "gitlab"])
def test_targets_become_a_job_matrix_and_nothing_else_is_printed(capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert cli.main(["targets", "--format", form, "--vmlab-target", "debian12-6.1"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert yaml.safe_load(shown.out)


def test_too_many_jobs_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["targets", "--format", "github", "--shards", "1000"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
