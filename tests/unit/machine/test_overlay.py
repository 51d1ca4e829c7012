# SPDX-License-Identifier: MIT
"""Overlays need free space, and a full or unreadable disk is reported."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from vmlab.errors import AssetError, HostError
from vmlab.machine import overlay
from vmlab.system.process import Finished


def _header(*, backing: str, features: int = 0) -> bytes:
    """Beginning of a qcow2 of version 3."""
    name = backing.encode()
    return struct.pack(">4sIQI52xQ", b"QFI\xfb", 3, 104, len(name), features).ljust(104, b"\0") + name


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="there is no qemu-img")
def test_an_overlay_that_was_made_names_its_base_and_no_other_file(tmp_path: Path) -> None:
    base, made = tmp_path / "base", tmp_path / "overlay"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(base), "1M"], check=True)
    overlay.make_overlay(base, made)

    overlay.require_backing(made, base)


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="there is no qemu-img")
def test_an_overlay_has_room_and_a_publishers_larger_disk_keeps_its_size(tmp_path: Path) -> None:
    for size_gib, expected_gib in ((3, 12), (40, 40)):
        base, made = tmp_path / f"base{size_gib}", tmp_path / f"overlay{size_gib}"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(base), f"{size_gib}G"], check=True)
        overlay.make_overlay(base, made, least_bytes=12 * 2**30)
        told = subprocess.run(["qemu-img", "info", str(made)], capture_output=True, text=True, check=True).stdout
        assert f"virtual size: {expected_gib} GiB" in told


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="there is no qemu-img")
def test_a_publishers_disk_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="qemu-img cannot read"):
        overlay.make_overlay(tmp_path / "none", tmp_path / "overlay", least_bytes=1)


def test_no_room_while_a_disk_is_written_is_the_hosts_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "qemu-img: error while writing at byte 0: No space left on device"
    (tmp_path / "overlay").write_bytes(_header(backing=str(tmp_path / "base")))
    monkeypatch.setattr(overlay, "run", lambda argv, **_: Finished(argv=tuple(argv), status=1, output=words))
    with pytest.raises(HostError, match="no space left"):
        overlay.flatten(tmp_path / "overlay", tmp_path / "disk", base=tmp_path / "base")
