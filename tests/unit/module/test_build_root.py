# SPDX-License-Identifier: MIT
"""The guest as a place to build: names and results that are not trusted."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from unit.fakes import FakeTransport, completed, guest
from vmlab.errors import BuildError
from vmlab.module.build_root import GuestPlace
from vmlab.module.source import read_source


class _Keeping(FakeTransport):
    """Keeps the members of the archive that is put."""

    def put(self, local: Path, remote: str, *, timeout_s: float) -> None:
        with tarfile.open(local) as tar:
            self.members = {member.name: (member.mode, member.mtime, member.isreg()) for member in tar}
        super().put(local, remote, timeout_s=timeout_s)


def test_sources_are_packed_with_their_times_and_a_link_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "Kbuild").write_text("obj-m := fib.o\n")
    (tmp_path / "gen.sh").touch(mode=0o755)
    (tmp_path / "link.c").symlink_to("Kbuild")
    transport = _Keeping()

    GuestPlace(guest(transport)).put_tree(read_source(tmp_path), "fib")

    assert sorted(transport.members) == ["fib/Kbuild", "fib/gen.sh", "fib/link.c"]
    assert all(is_file for _, _, is_file in transport.members.values())
    assert transport.members["fib/gen.sh"][0] & 0o111
    assert transport.members["fib/Kbuild"][1] == pytest.approx((tmp_path / "Kbuild").stat().st_mtime)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ("l 11", "is not a regular file"),
        ("d 4096", "is not a regular file"),
        ("p 0", "is not a regular file"),
        ("f 68719476736", "is larger than 384 MiB"),
        ("f x", "is larger than 384 MiB"),
        ("", "is missing"),
    ],
)
def test_only_a_regular_file_of_the_guest_is_a_result(tmp_path: Path, found: str, why: str) -> None:
    transport = FakeTransport({"find": completed("find", stdout=found, status=0 if found else 1)})

    with pytest.raises(BuildError, match=f"the build's result 'fib/fib.ko' {why}"):
        GuestPlace(guest(transport)).get("fib/fib.ko", tmp_path / "got")

    assert not any(command.startswith("get ") for command in transport.commands)


@pytest.mark.parametrize("name", ["../etc/shadow", "fib/../../etc/shadow", "/etc/shadow"])
def test_a_result_that_leads_out_of_the_build_directory_is_refused(tmp_path: Path, name: str) -> None:
    transport = FakeTransport()

    with pytest.raises(BuildError, match="leads out of its directory"):
        GuestPlace(guest(transport)).get(name, tmp_path / "got")

    assert transport.commands == []


def test_a_regular_file_of_the_guest_is_copied(tmp_path: Path) -> None:
    transport = FakeTransport({"find": "f 4096"})

    GuestPlace(guest(transport)).get("fib/fib.ko", tmp_path / "fib.ko")

    assert transport.commands[-1] == f"get /build/fib/fib.ko {tmp_path / 'fib.ko'}"
