# SPDX-License-Identifier: MIT
"""Running another architecture's programs is tried, and a failure gets a one-line message."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from vmlab.catalogue.target import Architecture
from vmlab.errors import HostError
from vmlab.host import binfmt as foreign
from vmlab.host.binfmt import elf_program, native_architecture, require_programs_of, runs_programs_of


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Architecture:
    """An architecture other than this host's."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return Architecture.ARM64


def test_the_smallest_program_of_this_host_runs(tmp_path: Path) -> None:
    native = native_architecture()
    if native is None:
        pytest.skip("this host's architecture is one that no target has")
    program = tmp_path / "exit"
    program.write_bytes(elf_program(native))
    program.chmod(0o755)
    assert subprocess.run([program], check=False).returncode == 42


@pytest.mark.parametrize(("architecture", "machine"), [(Architecture.AMD64, 62), (Architecture.ARM64, 183)])
def test_each_program_is_of_its_architecture(architecture: Architecture, machine: int) -> None:
    program = elf_program(architecture)
    assert program[:4] == b"\x7fELF"
    assert int.from_bytes(program[18:20], "little") == machine


def test_native_programs_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    monkeypatch.setattr(foreign, "status_of", lambda _: pytest.fail("tried"))
    require_programs_of(Architecture.ARM64)
    assert runs_programs_of(Architecture.ARM64)


def _answers(*, outside: int | OSError, inside: int) -> Callable[[list[str]], int]:
    def status(argv: list[str]) -> int:
        if "chroot" in argv:
            return inside
        if argv[-1] == "true":
            return 0
        if isinstance(outside, OSError):
            raise outside
        return outside

    return status


@pytest.mark.parametrize(
    ("outside", "inside", "words"),
    [
        (OSError(8, "Exec format error"), 126, "no emulator is registered with the kernel"),
        (1, 126, "a test program exited with status 1, expected 42"),
        (42, 126, "does not work in a chroot: it needs the flag F"),
    ],
)
def test_what_is_wrong_is_told(
    monkeypatch: pytest.MonkeyPatch, other: Architecture, outside: int | OSError, inside: int, words: str
) -> None:
    monkeypatch.setattr(foreign, "status_of", _answers(outside=outside, inside=inside))
    with pytest.raises(HostError, match="arm64 programs do not run on this x86_64 host") as caught:
        require_programs_of(other)
    assert words in caught.value.message
    assert caught.value.hint == "vmlab setup --vmlab-target '*-arm64'"
    assert not runs_programs_of(other)


def test_programs_that_run_also_in_a_chroot_are_fine(monkeypatch: pytest.MonkeyPatch, other: Architecture) -> None:
    monkeypatch.setattr(foreign, "status_of", _answers(outside=42, inside=42))
    require_programs_of(other)
    assert runs_programs_of(other)


def test_a_user_without_namespaces_is_not_told_that_the_emulator_is_at_fault(
    monkeypatch: pytest.MonkeyPatch, other: Architecture
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(foreign, "status_of", lambda argv: 1 if argv[0] == "unshare" else 42)
    require_programs_of(other)
