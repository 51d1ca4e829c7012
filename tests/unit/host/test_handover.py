# SPDX-License-Identifier: MIT
"""Files that QEMU inherits open."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from vmlab.errors import AssetError, HostError
from vmlab.host.confinement import GROUP, Confinement
from vmlab.host.handover import Handover, Names, NotGranted

_OTHER = Confinement(user=GROUP + 1)
_OWN = Confinement()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("content")
    return path


def test_names_that_start_nothing_are_paths(file: Path) -> None:
    names = Names()
    assert (names.readable(file), names.drive(file), names.words()) == (file, file, [])


def test_a_drive_is_read_only_unless_it_is_to_be_written(file: Path) -> None:
    with Handover(_OWN) as given:
        names = [given.drive(file), given.drive(file, is_writable=True)]

        assert names == [Path(f"/dev/fdset/{number}") for number in given.descriptors]
        flags = [_access(number) for number in given.descriptors]
        assert flags == [os.O_RDONLY, os.O_RDWR]
        assert given.words() == [
            word for number in given.descriptors for word in ("-add-fd", f"fd={number},set={number}")
        ]


def _access(descriptor: int) -> int:
    text = Path(f"/proc/self/fdinfo/{descriptor}").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("flags:")), 8) & os.O_ACCMODE


def test_the_console_is_only_appended_to(tmp_path: Path) -> None:
    (tmp_path / "console").write_text("before, ")
    with Handover(_OWN) as given:
        given.log(tmp_path / "console")
        os.write(given.descriptors[0], b"after")
    assert (tmp_path / "console").read_text() == "before, after"


def test_descriptors_are_closed_at_the_end(file: Path) -> None:
    with Handover(_OWN) as given:
        given.drive(file)
    with pytest.raises(OSError):
        os.fstat(given.descriptors[0])


def test_a_copy_is_made_once_and_again_when_the_file_was_replaced(file: Path) -> None:
    with Handover(_OTHER) as given:
        first, again = (given.readable(file).read_text() for _ in range(2))
        file.write_text("another content")
        os.utime(file, ns=(0, 0))
        assert (first, again, given.readable(file).read_text()) == ("content", "content", "another content")
        assert len({os.fstat(number).st_ino for number in given.descriptors if _is_memory(number)}) == 2


def _is_memory(descriptor: int) -> bool:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink()).startswith("/memfd:")


def test_the_same_user_reads_the_file_itself(file: Path) -> None:
    with Handover(_OWN) as given:
        assert given.readable(file).resolve() == file


def test_a_message_names_the_files_by_their_paths(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(12)]
    for path in paths:
        path.touch()
    with Handover(_OWN) as given:
        names = [given.drive(path) for path in paths]
        assert given.with_paths(" ".join(map(str, names))) == " ".join(map(str, paths))


def test_a_file_that_is_not_there_is_the_stores_fault(tmp_path: Path) -> None:
    with Handover(_OWN) as given, pytest.raises(AssetError, match=r"cannot open .*missing.*images verify"):
        given.drive(tmp_path / "missing")


def test_a_console_that_cannot_be_made_is_the_hosts_fault(tmp_path: Path) -> None:
    with Handover(_OWN) as given, pytest.raises(HostError, match="cannot write to"):
        given.log(tmp_path / "missing" / "console")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to another group")
def test_the_memory_belongs_to_the_group_of_qemu_and_keeps_its_owner(tmp_path: Path) -> None:
    memory = tmp_path / "ram"
    with Handover(_OTHER) as given:
        given.memory(memory)
    found = memory.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (os.geteuid(), GROUP, 0o660)


def test_a_file_system_that_refuses_a_group_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    with Handover(_OTHER) as given, pytest.raises(NotGranted, match="ram cannot be given to another group: Operation"):
        given.memory(tmp_path / "ram")
