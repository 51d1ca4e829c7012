# SPDX-License-Identifier: MIT
"""Attacks of a guest that has taken over its QEMU on the files that it gets, and on those who read its own."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from vmlab.errors import AssetError
from vmlab.host.confinement import Confinement
from vmlab.host.handover import Handover
from vmlab.machine.overlay import flatten
from vmlab.store.store import Store
from vmlab.system.process import run

_ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="QEMU has another user than the lab where the lab is root")


@_ROOT_ONLY
@pytest.mark.parametrize(
    "command",
    [
        pytest.param("printf x >{copy}", id="write"),
        pytest.param("truncate -s 0 {copy}", id="truncate"),
        pytest.param("test -e {copy} && chmod 600 {copy}", id="mode"),
    ],
)
def test_the_kernel_that_qemu_reads_cannot_be_changed(command: str, tmp_path: Path) -> None:
    kernel = tmp_path / "kernel"
    kernel.write_text("a kernel")
    kernel.chmod(0o600)
    confined = Confinement(has_own_user=True).for_machine()
    with Handover(confined) as given:
        name = given.readable(kernel)

        read = run([*confined.prefix(), "cat", str(name)], timeout_s=60, pass_fds=given.descriptors)
        changed = run(
            [*confined.prefix(), "sh", "-c", command.format(copy=name)], timeout_s=60, pass_fds=given.descriptors
        )

        assert read.output == "a kernel"
        assert not changed.ok
    assert kernel.read_text() == "a kernel"


@_ROOT_ONLY
def test_a_change_of_a_snapshots_memory_shows_at_its_next_use(tmp_path: Path) -> None:
    store, inputs = Store(tmp_path / "store"), {"of": "a test"}

    def make(work: Path) -> Mapping[str, object]:
        with (work / "ram").open("wb") as memory:
            memory.truncate(16 * 2**20)
        return {}

    memory = store.obtain("snapshot", inputs, make).file("ram")
    confined = Confinement(has_own_user=True).for_machine()
    with Handover(confined) as given:
        name = given.memory(memory)
        command = f"printf x | dd of={name} conv=notrunc && touch -d @1 {name}"
        attack = run([*confined.prefix(), "sh", "-c", command], timeout_s=60, pass_fds=given.descriptors)

    assert memory.read_bytes().startswith(b"x")
    assert "setting times" in attack.output
    with pytest.raises(AssetError, match="ram"):
        store.find("snapshot", inputs)


def _qcow2(*, backing: str, features: int = 0, magic: bytes = b"QFI\xfb") -> bytes:
    name = backing.encode()
    return struct.pack(">4sIQI52xQ", magic, 3, 104, len(name), features).ljust(104, b"\0") + name


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(_qcow2(backing="/etc/shadow"), id="another backing file"),
        pytest.param(_qcow2(backing="json:{}"), id="backing file in JSON"),
        pytest.param(_qcow2(backing="/store/base", features=1 << 2), id="data in another file"),
        pytest.param(_qcow2(backing="/store/base", magic=b"KDMV"), id="another format"),
        pytest.param(_qcow2(backing="/store/base")[:20], id="truncated"),
        pytest.param(b"", id="empty"),
    ],
)
def test_the_lab_opens_no_file_that_a_disk_of_the_guest_names(header: bytes, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay"
    overlay.write_bytes(header)

    with pytest.raises(AssetError, match="was changed"):
        flatten(overlay, tmp_path / "disk", base=Path("/store/base"))

    assert not (tmp_path / "disk").exists()
