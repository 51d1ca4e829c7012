# SPDX-License-Identifier: MIT
"""`vmlab log`: the verdict on a log from any machine as text, JSON and exit status; one line for bad input."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from unit.klog.test_logs import DIRECTORY, LOGS
from unit.module.debug_object import Function, Unit, object_file
from vmlab.commands import main as cli
from vmlab.decode import structure
from vmlab.klog.explained import SCHEMA, ExplainedLog

_OOPS = str(DIRECTORY / "dmesg-null-pointer.txt")
_RELEASE = "6.12.48-lab"
_UNIT = Unit(
    source="/build/sluice/read.c",
    directory="/usr/src/linux-headers-6.12.48-lab",
    files=("/build/sluice/read.c",),
    rows=((0, 1, 40), (0x4E, 1, 44), (0x60, 1, 47)),
    functions=(Function(name="sluice_read", start=0, end=0x110),),
    end=0x110,
)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def _module(path: Path, release: str = _RELEASE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(object_file(_UNIT, modinfo=f"name=sluice\0vermagic={release} SMP \0".encode()))
    return path


def _give(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.parametrize("log", LOGS, ids=[log.file for log in LOGS])
def test_the_status_says_whether_there_is_trouble(log: object, capsys: pytest.CaptureFixture[str]) -> None:
    file, reports = log.file, log.report  # type: ignore[attr-defined]

    status = cli.main(["log", str(DIRECTORY / f"{file}.txt")])

    said = capsys.readouterr()
    assert status == (1 if reports else 0)
    assert said.err == ""
    for report in reports:
        assert report.title in said.out
        assert f"{report.kind} in " in said.out


def test_a_report_is_told_with_module_function_frames_and_consequence(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["log", str(DIRECTORY / "dmesg-several.txt")])

    assert capsys.readouterr().out.splitlines() == [
        "4 kernel reports, 2 different in 143 lines of the kernel",
        "",
        "1. WARNING in module sluice, sluice_level(), 3 times",
        "   WARNING: CPU: 1 PID: 1207 at drivers/misc/sluice.c:91 sluice_level+0x2f/0x60 [sluice]",
        "   lines 5 to 36; at 100.000000 s; process pump[1207]; kernel 6.1.140-lab;"
        " printed at drivers/misc/sluice.c:91; fingerprint b7168a14",
        "     sluice_level+0x2f/0x60 [sluice]",
        "     sluice_ioctl+0x91/0x140 [sluice]",
        "     __x64_sys_ioctl+0x94/0xd0",
        "     do_syscall_64+0x5b/0xb0",
        "     entry_SYSCALL_64_after_hwframe+0x76/0xe0",
        "",
        "2. page fault in module lantern, lantern_dim()",
        "   BUG: unable to handle page fault for address: 0000000000b00b00",
        "   lines 101 to 136; at 200.000000 s; process swapper/1[0]; kernel 6.1.140-lab; fingerprint 668f96c4",
        "     lantern_dim+0x20/0x40 [lantern]",
        "     lantern_tick+0x17/0x30 [lantern]",
        "     call_timer_fn+0x27/0x130",
        "     do_syscall_64+0x5b/0xb0",
        "     entry_SYSCALL_64_after_hwframe+0x76/0xe0",
        "   then: Kernel panic - not syncing: Fatal exception in interrupt (panic, line 141)",
    ]


@pytest.mark.parametrize("words", [["log"], ["log", "-"]])
def test_a_log_is_read_from_standard_input(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _give(monkeypatch, Path(_OOPS).read_bytes())

    assert cli.main(words) == 1

    assert "null pointer in module sluice, sluice_read()" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["dmesg-null-pointer", "dmesg-several", "innocent-boot", "mail-bare-riscv-bug"])
def test_the_json_is_a_document_that_decodes_strictly(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = DIRECTORY / f"{name}.txt"

    status = cli.main(["log", "--json", str(path)])

    document = structure(json.loads(capsys.readouterr().out), ExplainedLog, where="json")
    assert (document.schema, document.name) == (SCHEMA, str(path))
    assert document.is_trouble is bool(status)


@pytest.mark.parametrize("is_tree", [False, True])
def test_the_lines_of_a_module_are_shown(tmp_path: Path, is_tree: bool, capsys: pytest.CaptureFixture[str]) -> None:
    ko = _module(tmp_path / "tree" / "out" / "sluice.ko")

    cli.main(["log", _OOPS, "--module", str(tmp_path / "tree" if is_tree else ko)])

    said = capsys.readouterr().out
    assert "null pointer in module sluice, sluice_read() at read.c:44" in said
    assert "  sluice_read+0x4e/0x110 [sluice]  read.c:44" in said
    assert "note: " not in said


def test_of_several_builds_that_for_the_kernel_of_the_log_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _module(tmp_path / "tree" / "a" / "sluice.ko", "5.10.0-1")
    _module(tmp_path / "tree" / "b" / "sluice.ko")

    cli.main(["log", _OOPS, "--module", "tree"])

    said = capsys.readouterr().out
    assert "read.c:44" in said
    assert "note: " not in said


def test_a_module_for_another_kernel_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ko = _module(tmp_path / "sluice.ko", "5.10.0-1")

    cli.main(["log", _OOPS, "--module", str(ko)])

    assert (
        "note: sluice.ko was built for '5.10.0-1', but the log is of '6.12.48-lab': its lines may be wrong"
        in capsys.readouterr().out
    )


def test_a_module_that_no_report_names_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _module(tmp_path / "sluice.ko")

    cli.main(["log", str(DIRECTORY / "journal-monotonic-lockdep.txt"), "--module", "sluice.ko"])

    assert "note: no lines of source: the reports name lantern, 'sluice.ko' has sluice" in capsys.readouterr().out


def test_a_module_without_debug_information_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = object_file(modinfo=f"name=sluice\0vermagic={_RELEASE} SMP \0".encode())
    (tmp_path / "sluice.ko").write_bytes(data)

    cli.main(["log", _OOPS, "--module", "sluice.ko"])

    assert "note: sluice.ko has no debug information for these functions" in capsys.readouterr().out


_BAD: dict[str, tuple[list[str], str]] = {
    "no such file": (["none.txt"], "cannot read 'none.txt': No such file or directory"),
    "a directory": (["."], "cannot read '.': Is a directory"),
    "an empty file": (["/dev/null"], "'/dev/null' is empty"),
    "a program": ([sys.executable], "is binary, not text"),
    "another text": ([__file__], "is not a kernel log"),
    "programs only": (["programs.txt"], "'programs.txt' has 2 lines of programs and none of the kernel"),
    "two files": (["a", "b"], "log does not take 'b'"),
    "an unknown option": (["--x"], "log has no option --x"),
    "no such module": ([_OOPS, "--module", "none.ko"], "no such file: 'none.ko'"),
    "a tree without a module": ([_OOPS, "--module", "empty"], "no .ko below 'empty'"),
    "a module that is none": ([_OOPS, "--module", "programs.txt"], "'programs.txt' is not an ELF file"),
    "a packed module": ([_OOPS, "--module", "x.ko.xz"], "'x.ko.xz' is compressed"),
    "a device as a module": ([_OOPS, "--module", "/dev/zero"], "'/dev/zero' is not a regular file"),
    "no rules": ([_OOPS, "--vmlab-known-splats", "none.toml"], "none.toml"),
}


@pytest.mark.parametrize("name", _BAD)
def test_bad_input_is_one_line_and_status_2(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, said = _BAD[name]
    (tmp_path / "programs.txt").write_text("Dec  1 10:23:02 mill cron[1]: a\nDec  1 10:23:03 mill cron[1]: b\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.ko.xz").write_bytes(b"")

    status = cli.main(["log", *words])

    shown = capsys.readouterr()
    assert status == 2
    assert shown.out == ""
    assert shown.err.startswith("vmlab: ")
    assert said in shown.err
    assert shown.err.count("\n") == 1


def test_a_terminal_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)

    assert cli.main(["log"]) == 2

    assert "no log was given (type `vmlab log FILE`, or `dmesg | vmlab log`)" in capsys.readouterr().err


def test_an_entry_of_the_users_rules_allows_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "known.toml").write_text(
        '[[allow]]\nkind = "null pointer"\ntext = "sluice_read"\nreason = "known"\nlink = "https://example.org"\n'
        "expires = 2999-01-01\n"
    )

    assert cli.main(["log", _OOPS, "--vmlab-known-splats", "known.toml"]) == 0

    assert "   allowed: known.toml: [[allow]] null pointer 'sluice_read': known" in capsys.readouterr().out


def test_the_command_imports_nothing_of_the_lab() -> None:
    code = (
        "import sys; from vmlab.commands.main import main; main(sys.argv[1:]); "
        "print(*sorted(sys.modules), sep='\\n', file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", code, "log", _OOPS], capture_output=True, text=True, check=True)

    rooms = ("machine", "guest", "image", "lab", "cloud", "host", "store", "timing", "perf", "plugin", "module")
    foreign = ("paramiko", "fabric", "qemu", "pytest", "rich", "requests", "elftools", "cryptography")
    imported = done.stderr.splitlines()
    heavy = (*foreign, *(f"vmlab.{room}" for room in rooms))
    assert "vmlab.klog.splat" in imported
    assert [name for name in imported if f"{name}.".startswith(tuple(f"{each}." for each in heavy))] == []
