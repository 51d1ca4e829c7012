# SPDX-License-Identifier: MIT
"""`vmlab shell`: a script on standard input, and the directory of `--loaded`."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from vmlab.commands import main as cli
from vmlab.errors import BuildError, MachineLost, VmlabError
from vmlab.lab.testbed import Testbed


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The commands that a guest's shell was opened with; an empty one is an interactive session."""
    opened: list[str] = []

    def open_shell(command: str) -> int:
        opened.append(command)
        return 3

    @contextlib.contextmanager
    def fork(*_: object, **__: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(open_shell=open_shell)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VMLAB_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(Testbed, "fork", fork)
    return opened


def _input(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("content", "command"),
    [(b"uname -r\n", "uname -r"), (b"cd /\nls\n", "cd /\nls"), (b"", ":"), (b"\n", ":")],
    ids=["a line", "a script", "nothing", "an empty line"],
)
def test_an_input_that_is_no_terminal_is_a_script_that_ends_the_session(
    content: bytes, command: str, commands: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _input(monkeypatch, content)

    assert cli.main(["shell", "debian12-6.1"]) == 3

    assert commands == [command]


def test_a_terminal_gets_a_session(commands: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal())

    cli.main(["shell", "debian12-6.1"])

    assert commands == [""]


def test_a_command_leaves_standard_input_alone(commands: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _input(monkeypatch, b"reboot\n")

    cli.main(["shell", "debian12-6.1", "uname", "-r"])

    assert commands == ["uname -r"]


def test_a_script_that_the_guests_shell_cannot_take_is_one_line(
    commands: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _input(monkeypatch, b"true\n" * 30_000)

    assert cli.main(["shell", "debian12-6.1"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("vmlab: the commands on standard input must have at most 100000 bytes")
    assert commands == []


@pytest.fixture
def ends_with(commands: list[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[VmlabError | None], None]:
    """Choose the error with which each fork ends, after it wrote a console."""
    del commands

    def choose(error: VmlabError | None) -> None:
        @contextlib.contextmanager
        def fork(testbed: Testbed, *_: object, **__: object) -> Iterator[SimpleNamespace]:
            consoles = testbed.run.settings.report / "consoles"
            consoles.mkdir(parents=True)
            (consoles / "debian12-6.1-1.log").write_text("Linux version 6.1\n")
            if error is not None:
                raise error
            yield SimpleNamespace(open_shell=lambda _: 0)

        monkeypatch.setattr(Testbed, "fork", fork)

    return choose


def test_a_command_that_ends_well_leaves_no_console_in_the_directory(
    ends_with: Callable[[VmlabError | None], None], tmp_path: Path
) -> None:
    ends_with(None)

    assert cli.main(["shell", "debian12-6.1", "true"]) == 0

    assert not (tmp_path / "build").exists()


def test_the_console_of_a_lost_guest_is_kept_and_named(
    ends_with: Callable[[VmlabError | None], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends_with(MachineLost("the guest was lost"))

    assert cli.main(["shell", "debian12-6.1", "true"]) == 1

    kept = tmp_path / "build" / "vmlab" / "consoles" / "debian12-6.1-1.log"
    assert kept.read_text() == "Linux version 6.1\n"
    assert capsys.readouterr().err == f"vmlab: the guest was lost\nconsole: {kept}\n"


def test_consoles_stay_in_a_report_directory_that_was_named(
    ends_with: Callable[[VmlabError | None], None], tmp_path: Path
) -> None:
    ends_with(None)

    cli.main(["shell", "debian12-6.1", "--vmlab-report", "r", "true"])

    assert (tmp_path / "r" / "consoles" / "debian12-6.1-1.log").is_file()


def test_the_log_of_a_failed_build_is_kept_and_named(
    ends_with: Callable[[VmlabError | None], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = BuildError("answer does not build", detail="the end")
    error.output = "the beginning\nthe end\n"
    ends_with(error)

    assert cli.main(["shell", "debian12-6.1", "true"]) == 1

    kept = tmp_path / "build" / "vmlab" / "builds" / "build.log"
    assert kept.read_text() == error.output
    assert capsys.readouterr().err == f"vmlab: answer does not build\nthe end\nthe whole output: {kept}\n"
    assert [path.name for path in kept.parents[1].iterdir()] == ["builds"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("fibdriv", "--loaded 'fibdriv': no such directory (did you mean 'fibdrv'?)"),
        ("zzz", "--loaded 'zzz': no such directory (use --loaded DIR)"),
        ("none/zzz", "--loaded 'none/zzz': no such directory (use --loaded DIR)"),
        ("fibdrv/Kbuild", "--loaded 'fibdrv/Kbuild' is a file, expected the module's directory (use --loaded DIR)"),
    ],
)
def test_a_wrong_directory_of_the_module_is_named_with_its_option(
    name: str, told: str, commands: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fibdrv").mkdir()
    (tmp_path / "fibdrv" / "Kbuild").write_text("obj-m := fibdrv.o\n")

    assert cli.main(["shell", "debian12-6.1", "--loaded", name]) == 2

    assert capsys.readouterr().err == f"vmlab: {told}\n"
    assert commands == []
