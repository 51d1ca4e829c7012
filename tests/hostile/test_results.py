# SPDX-License-Identifier: MIT
"""Result files that somebody else wrote: what `vmlab report` reads ends in one line, in bounded time and memory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.report.results import facts, row, run

from vmlab.commands.main import main
from vmlab.decode import unstructure
from vmlab.report.model import Outcome

_MEMORY = 3 * 2**30
_LONGEST_S = 60
_GOOD = unstructure(run(row(("test_a", Outcome.PASSED, ""), known=facts())))


def _target(data: dict[str, Any], **keys: Any) -> None:
    data["targets"][0] |= keys


def _test(data: dict[str, Any], **keys: Any) -> None:
    data["targets"][0]["tests"][0] |= keys


def _facts(data: dict[str, Any], **keys: Any) -> None:
    data["targets"][0]["facts"] |= keys


def _shard(data: dict[str, Any], **keys: Any) -> None:
    data["shard"] = {"index": 1, "count": 2, "run": "r", "tests": 1} | keys


def _point(data: dict[str, Any], **keys: Any) -> None:
    point = {"n": 1, "samples": [1.0]} | keys
    data["series"] = [{"name": "s", "target": "x", "source": "clock", "unit": "ns", "points": [point]}]


_EDITS: dict[str, Callable[[dict[str, Any]], None]] = {
    "a million shards": lambda data: _shard(data, count=10**6),
    "shard 0": lambda data: _shard(data, index=0),
    "shard 3 of 2": lambda data: _shard(data, index=3),
    "negative number of tests": lambda data: _shard(data, tests=-1),
    "escape in a run": lambda data: _shard(data, run="\x1b]52;c;AAAA\x07"),
    "NaN": lambda data: _test(data, duration_s=float("nan")),
    "infinity": lambda data: _test(data, duration_s=float("inf")),
    "negative duration": lambda data: _test(data, duration_s=-1.0),
    "duration of 10^300": lambda data: _test(data, duration_s=1e300),
    "negative boots": lambda data: _facts(data, boots=-1),
    "10^18 forks": lambda data: _facts(data, forks=10**18),
    "boot of 10^12 s": lambda data: _facts(data, boot_s=1e12),
    "number as a name": lambda data: _test(data, test=3),
    "list as a duration": lambda data: _test(data, duration_s=[[[[[]]]]] * 10**5),
    "text of 1 MiB as a duration": lambda data: _test(data, duration_s="x" * 2**20),
    "outcome of 1 MiB": lambda data: _test(data, outcome="x" * 2**20),
    "unknown key of 1 MiB": lambda data: _test(data, **{"x" * 2**20: 1}),
    "escape in an unknown key": lambda data: _test(data, **{"\x1b[2J\n": 1}),
    "escape in a target": lambda data: _target(data, target="\x1b[2Jdebian"),
    "newline in a target": lambda data: _target(data, target="debian\n::error::x"),
    "target of 1 MiB": lambda data: _target(data, target="x" * 2**20),
    "escape in a missing part": lambda data: data.update(missing=["\x1b]0;x\x07"]),
    "escape in a version": lambda data: data.update(vmlab="\x1b[31m1.0"),
    "escape in an accelerator": lambda data: _facts(
        data, provenance=data["targets"][0]["facts"]["provenance"] | {"accelerator": "kvm\nstatus=0"}
    ),
    "100,000 targets": lambda data: data.update(
        targets=[{"target": str(number), "facts": None, "tests": []} for number in range(10**5)]
    ),
    "series without samples": lambda data: _point(data, samples=[]),
    "series at size -1": lambda data: _point(data, n=-1),
    "series with 10^300": lambda data: _point(data, samples=[1e300]),
    "targets as an object": lambda data: data.update(targets={}),
    "schema true": lambda data: data.update(schema=True),
}

_WHOLE = json.dumps(_GOOD)
_TEXTS: dict[str, str] = {
    "deep list": "[" * 10**6,
    "deep object": '{"a":' * 10**5,
    "deep settings": _WHOLE.replace('"settings": {', '"settings": {"a": ' + "[" * 900 + "]" * 900 + ", ", 1),
    "duplicated key": _WHOLE.replace('"schema":', '"schema": 3, "schema":', 1),
    "duplicated outcome": _WHOLE.replace('"outcome":', '"outcome": "failed", "outcome":', 1),
    "half of a surrogate pair": _WHOLE.replace("test_a", "\\ud800", 1),
    "1e999": _WHOLE.replace('"duration_s": ', '"duration_s": 1e999, "x": ', 1),
    "number of 10,000 digits": _WHOLE.replace('"schema": 3', '"schema": ' + "3" * 10**4, 1),
    "not JSON": "\x00\x1b]52;c;AAAA\x07",
    "3.9 million empty lists": "[" + "[]," * 3_900_000 + "[]]",
    "20 million empty lists": "[" + "[]," * (2 * 10**7) + "[]]",
}


def _merge(capsys: pytest.CaptureFixture[str], *places: Path) -> str:
    """Merge results; check that it fails in time with one printable line, which is returned."""
    started = time.monotonic()
    status = main(["report", "merge", *map(str, places), "--out", str(places[0].parent / "merged")])
    duration_s = time.monotonic() - started

    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert status == 2
    assert out == ""
    assert line.startswith("vmlab: ")
    assert line.isprintable()
    assert len(line) < 1000
    assert duration_s < _LONGEST_S
    assert not (places[0].parent / "merged").exists()
    return line


@pytest.mark.parametrize("attack", _EDITS)
def test_a_value_that_no_run_has_is_one_line(attack: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(_WHOLE)
    _EDITS[attack](data)
    (tmp_path / "results.json").write_text(json.dumps(data))

    _merge(capsys, tmp_path / "results.json")


@pytest.mark.parametrize("attack", _TEXTS)
def test_a_text_that_is_no_result_is_one_line(attack: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.json").write_text(_TEXTS[attack])

    _merge(capsys, tmp_path / "results.json")


def test_a_file_of_a_terabyte_is_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.json").touch()
    os.truncate(tmp_path / "results.json", 2**40)

    assert "expected at most" in _merge(capsys, tmp_path / "results.json")


def test_many_files_are_not_read_when_they_are_large_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        (tmp_path / "all" / str(number)).mkdir(parents=True)
        (tmp_path / "all" / str(number) / "results.json").touch()
        os.truncate(tmp_path / "all" / str(number) / "results.json", 100 * 2**20)

    assert "expected at most" in _merge(capsys, tmp_path / "all")


@pytest.mark.parametrize("kind", ["FIFO", "device", "directory"])
def test_what_is_no_file_is_not_read(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "all" / "results.json"
    place.parent.mkdir()
    make: dict[str, Callable[[], None]] = {
        "FIFO": lambda: os.mkfifo(place),
        "device": lambda: place.symlink_to("/dev/zero"),
        "directory": place.mkdir,
    }
    make[kind]()

    assert "cannot read" in _merge(capsys, place.parent)


def test_the_lines_about_missing_shards_are_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(20):
        data = json.loads(_WHOLE)
        _shard(data, count=10_000, run=str(number))
        _target(data, target=f"target-{number}")
        _test(data, target=f"target-{number}")
        (tmp_path / "all" / str(number)).mkdir(parents=True)
        (tmp_path / "all" / str(number) / "results.json").write_text(json.dumps(data))

    assert main(["report", "merge", str(tmp_path / "all"), "--out", str(tmp_path / "merged")]) == 1

    assert len(capsys.readouterr().err.splitlines()) < 500


@pytest.mark.parametrize("attack", ["deep list", "3.9 million empty lists", "20 million empty lists"])
def test_a_hostile_text_takes_little_memory(attack: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(_TEXTS[attack])

    done = subprocess.run(
        [sys.executable, "-m", "vmlab", "report", "merge", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * _LONGEST_S,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY)),
    )

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1", "1e300", '"x"', "1e999"])
def test_durations_that_are_none_are_one_line(value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = '{"kind": "vmlab durations", "schema": 1, "targets": {"x": {"tests": {"\\u001b[2J": %s}}}}'
    (tmp_path / "durations.json").write_text(text % value)

    from vmlab.errors import UsageError
    from vmlab.report.durations import read_durations

    with pytest.raises(UsageError) as caught:
        read_durations(tmp_path / "durations.json")

    assert str(caught.value).isprintable()


@pytest.mark.parametrize("command", ["merge", "summary", "annotate", "outputs"])
def test_folders_in_each_other_are_refused_in_a_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not deeper: with 1500 pytest could not remove them.
    Path(tmp_path, "deep", *["d"] * 200).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    assert main(["report", command, "deep"]) == 2

    assert capsys.readouterr().err.startswith("vmlab: 'deep' has more than 100 folders in each other")


def test_a_series_of_many_sizes_is_listed_in_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(json.dumps(_GOOD))
    _point(data)
    data["series"][0]["points"] = [{"n": number, "samples": [1.0, 2.0]} for number in range(20_000)]
    (tmp_path / "results.json").write_text(json.dumps(data))
    start = time.monotonic()

    assert main(["series", str(tmp_path / "results.json")]) == 0

    assert time.monotonic() - start < 15
    assert "and 19000 more sizes: --pyperf OUT writes all" in capsys.readouterr().out
