# SPDX-License-Identifier: MIT
"""A real guest that floods the lab: its output, its files, its kernel log and its console."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab import Guest
from vmlab.errors import GuestError
from vmlab.guest.transport import MOST_OUTPUT_BYTES


def test_a_flood_over_ssh_and_over_the_line_is_cut_and_the_guest_stays_usable(guest: Guest) -> None:
    flood = "echo first; head -c 40000000 /dev/zero | tr '\\0' x; echo; echo last"

    for done in (guest.run(flood), guest.root(flood)):
        assert done.ok
        assert done.stdout.startswith("first\n")
        assert done.stdout.endswith("\nlast\n")
        assert len(done.stdout) < MOST_OUTPUT_BYTES + 1000
        assert done.left_out > 20_000_000
    assert guest.succeed("echo here") == "here\n"
    assert guest.as_root("echo here") == "here\n"


def test_a_sparse_file_of_64_gib_is_neither_read_nor_copied(guest: Guest, tmp_path: Path) -> None:
    guest.as_root("truncate -s 64G /var/tmp/sparse; chmod 644 /var/tmp/sparse")

    with pytest.raises(GuestError, match="it has 68719476736 bytes or more, the limit is 1073741824"):
        guest.get("/var/tmp/sparse", tmp_path / "copy")
    with pytest.raises(GuestError, match="the limit is 1000000"):
        guest.get("/dev/zero", tmp_path / "copy", max_bytes=1_000_000)

    assert not (tmp_path / "copy").exists()
    guest.succeed("echo content >/tmp/small")
    guest.get("/tmp/small", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "content\n"
