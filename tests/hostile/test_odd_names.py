# SPDX-License-Identifier: MIT
"""Odd names, encodings and closed streams end a command in one line and a status, never in a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import vmlab
from vmlab.commands import main as cli
from vmlab.errors import UsageError
from vmlab.module.source import read_source

from .attacks import found_in

_ROOT = Path(vmlab.__file__).parents[1]
_LONG = "a" * 300
_DEEP = "/a" * 2500
_NAMES = {
    "300 characters": _LONG,
    "5000 characters": _DEEP,
    "not UTF-8": os.fsdecode(b"\xff\xfe"),
    "a line break": "a\nb",
    "an escape": "\x1b]0;t\x07",
    "a loop of links": "loop/x",
}
_COMMANDS: Mapping[str, Sequence[str]] = {
    "a store": ("reap", "--vmlab-store", "NAME"),
    "a catalogue": ("targets", "--vmlab-catalogue", "NAME"),
    "a target": ("targets", "--vmlab-target", "NAME"),
    "a target of setup": ("setup", "--vmlab-target", "NAME"),
    "a shell's target": ("shell", "NAME", "true"),
    "a kept guest": ("shell", "kept-NAME", "true"),
    "a module": ("shell", "debian12-6.1", "--loaded", "NAME", "true"),
    "a module to time": ("time", "loop 1", "--vmlab-module", "NAME"),
    "a module to compare": ("time", "loop 1", "--against", "NAME"),
    "an operation": ("time", "NAME"),
    "symbols": ("symbols", "NAME"),
    "images rm": ("images", "rm", "NAME"),
    "images ls": ("images", "ls", "NAME"),
    "images key": ("images", "key", "NAME"),
    "images check": ("images", "check", "NAME"),
    "images try": ("images", "try", "NAME"),
    "images build": ("images", "build", "NAME"),
    "results to merge": ("report", "merge", "NAME"),
    "results to summarize": ("report", "summary", "NAME"),
    "results to annotate": ("report", "annotate", "NAME"),
    "results to count": ("report", "outputs", "NAME"),
    "durations": ("report", "durations", "NAME", "--out", "x"),
    "a measurement": ("series", "NAME"),
    "a plot": ("plot", "NAME"),
    "a comparison": ("compare", "NAME", "NAME"),
    "a command": ("NAME",),
    "an option": ("targets", "--NAME"),
    "shards": ("targets", "--format", "github", "--shards", "NAME"),
}
# A store with such a name is usable: it is made.
_MAY_SUCCEED = {("a store", "a line break"), ("a store", "an escape"), ("a store", "a loop of links")}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("command", _COMMANDS)
def test_an_odd_name_is_one_line_and_a_status(command: str, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    status = cli.main([word.replace("NAME", _NAMES[name]) for word in _COMMANDS[command]])

    shown = capfd.readouterr()
    assert found_in(f"{shown.out}{shown.err}") == []
    if (command, name) not in _MAY_SUCCEED:
        assert status in (1, 2)
        assert len(shown.err.splitlines()) == 1
        assert shown.err.startswith("vmlab: ")


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("variable", ["VMLAB_STORE", "VMLAB_MODULE", "VMLAB_TARGET", "VMLAB_ACCEL", "VMLAB_CPUS"])
def test_an_odd_variable_is_at_most_one_line(
    variable: str, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, _NAMES[name])

    status = cli.main(["images", "ls"])

    shown = capfd.readouterr()
    assert found_in(f"{shown.out}{shown.err}") == []
    assert status == (1 if shown.err.startswith("vmlab: ") and status == 1 else 2 if shown.err else 0)
    assert len(shown.err.splitlines()) <= 1


def test_a_size_of_5000_digits_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["time", "loop {n}", "--n", "9" * 5000]) == 2
    assert capfd.readouterr().err.startswith("vmlab: --n must be 1 to 1000 different numbers")


def test_a_source_name_that_is_not_utf_8_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "Kbuild").write_text("obj-m := a.o\n")
    (tmp_path / os.fsdecode(b"\xff.c")).write_text("int x;\n")

    with pytest.raises(UsageError, match=r"must be UTF-8, got b'\\xff.c' \(rename it\)"):
        read_source(tmp_path)


def test_a_working_directory_that_is_gone_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()

    status = cli.main(["images", "ls"])

    os.chdir(tmp_path)
    assert status == 2
    assert "working directory does not exist" in capfd.readouterr().err


_ENCODINGS = {
    "LANG=C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "ASCII": {"PYTHONIOENCODING": "ascii"},
    "strict Latin-1": {"PYTHONIOENCODING": "latin-1:strict"},
    "surrogateescape": {"PYTHONIOENCODING": "utf-8:surrogateescape"},
}
_SHOWN: Mapping[str, Sequence[str]] = {
    "doctor": ("doctor",),
    "doctor --json": ("doctor", "--json"),
    "targets": ("targets",),
    "help": ("time", "--help"),
    "an error": ("targets", "--vmlab-target", "é→\udc9b"),
    "a store": ("images", "ls", "--vmlab-store", "é→中"),
}


@pytest.mark.parametrize("encoding", _ENCODINGS)
@pytest.mark.parametrize("command", _SHOWN)
def test_a_terminal_of_any_encoding_gets_all_lines(command: str, encoding: str) -> None:
    done = _run(*_SHOWN[command], environment=_ENCODINGS[encoding])

    said = done.stdout + done.stderr
    assert b"Traceback" not in said
    assert said.strip()
    assert done.returncode in ((2,) if command == "an error" else (0, 1))
    if encoding != "surrogateescape":
        assert b"\x9b" not in said
    if encoding in ("LANG=C", "ASCII"):
        assert said.isascii()


@pytest.mark.parametrize(
    "command",
    [("targets",), ("targets", "--help"), ("images", "ls"), ("doctor", "--json"), ("report", "schema")],
    ids=str,
)
def test_a_reader_that_left_is_not_an_error(command: Sequence[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    done = _run(*command, stdout=writer)

    os.close(writer)
    assert done.stderr == b""
    assert done.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("command", [("targets",), ("--version",), ("report", "schema"), ("images", "ls")], ids=str)
def test_a_full_disk_behind_the_output_is_one_line(command: Sequence[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = _run(*command, stdout=full.fileno())

    assert done.stderr == b"vmlab: cannot write to standard output: No space left on device\n"
    assert done.returncode == 1


def test_a_closed_output_is_one_line() -> None:
    done = _run("targets", wrapper=("sh", "-c", 'exec "$@" >&-', "closed"))

    assert done.stderr.startswith(b"vmlab: standard output is closed")
    assert done.returncode == 1


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_a_closed_or_full_standard_error_is_no_traceback(redirection: str) -> None:
    done = _run("targets", "--vmlab-target", "zzz", wrapper=("sh", "-c", f'exec "$@" {redirection}', "closed"))

    assert done.stdout == b""
    assert done.returncode == 2


def _run(
    *words: str,
    environment: Mapping[str, str] | None = None,
    stdout: int = subprocess.PIPE,
    wrapper: Sequence[str] = (),
) -> subprocess.CompletedProcess[bytes]:
    argv = [*wrapper, sys.executable, "-m", "vmlab", *words]
    inherited = {"PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": ""}
    done = subprocess.run(
        [os.fsencode(word) for word in argv],
        stdout=stdout,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **inherited, **(environment or {})},
        timeout=120,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout or b"", done.stderr or b"")
