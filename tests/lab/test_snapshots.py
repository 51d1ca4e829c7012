# SPDX-License-Identifier: MIT
"""Invalid snapshots: a test gets a correct guest or a clear error, never a wrong guest."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from vmlab.catalogue.target import Target
from vmlab.errors import AssetError, HostError
from vmlab.lab.freezer import Cargo
from vmlab.lab.lab import Lab
from vmlab.lab.testbed import Testbed

from .conftest import own_directories

ONE = "debian12-6.1"
_BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


@dataclass(slots=True)
class OwnStore:
    """A lab whose store has links to the target's image and a copy of its ready snapshot."""

    lab: Lab
    target: Target
    image: Path
    snapshot: Path
    notices: list[str] = field(default_factory=list)

    def testbed(self) -> Testbed:
        """A testbed without any state."""
        return Testbed(self.lab, self.target)

    def fork(self) -> str:
        """Boot id of a new fork."""
        with self.testbed().fork() as running:
            return running.guest.succeed(_BOOT_ID)


@pytest.fixture
def own(target: Target, tmp_path: Path, vmlab_lab: Lab, vmlab_testbed: Testbed) -> OwnStore:
    if target.id != ONE:
        pytest.skip(f"says nothing about a kernel: runs on {ONE} alone")
    with vmlab_testbed.fork():
        pass
    image = vmlab_testbed.image
    ready = max(
        (item for item in vmlab_lab.store.objects() if item.label == f"{ONE} ready"), key=vmlab_lab.store.last_used
    )
    objects = tmp_path / "store" / "objects"
    own_image = objects / "image" / image.digest
    own_image.parent.mkdir(parents=True)
    shutil.copytree(image.disk.parent, own_image, copy_function=os.link, symlinks=True)
    (objects / "snapshot").mkdir()
    subprocess.run(["cp", "-a", "--sparse=always", str(ready.path), str(objects / "snapshot")], check=True)
    for name in ("keys", "notes"):
        shutil.copytree(vmlab_lab.store.root / name, tmp_path / "store" / name)
    notices: list[str] = []
    settings = replace(vmlab_lab.settings, store=tmp_path / "store", report=tmp_path / "report")
    # Ignore the notice about the host: it does not concern snapshots.
    lab = Lab(settings, notice=lambda text: None if "guests are emulated" in text else notices.append(text))
    return OwnStore(lab, target, own_image, objects / "snapshot" / ready.digest, notices)


def _as_a_bad_disk_does(change: Callable[[Path], None], file: Path) -> None:
    """Change a file and keep its modification time."""
    found = file.stat()
    change(file)
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


_DAMAGES: dict[str, Callable[[Path], None]] = {
    "its memory is cut short": lambda snapshot: os.truncate(snapshot / "ram", 2**20),
    "its memory is missing": lambda snapshot: (snapshot / "ram").unlink(),
    "a byte of its state is flipped": lambda snapshot: _as_a_bad_disk_does(_flip, snapshot / "state"),
    "its manifest is cut short": lambda snapshot: os.truncate(snapshot / "manifest.json", 100),
}


@pytest.mark.parametrize("damage", list(_DAMAGES))
def test_a_damaged_snapshot_is_made_anew_and_said(own: OwnStore, damage: str) -> None:
    before = own.fork()
    assert own.notices == []
    _DAMAGES[damage](own.snapshot)
    after = own.fork()
    assert after != before
    assert own.fork() == after
    assert len(own.notices) == 1
    assert "made a new snapshot" in own.notices[0]


def test_a_state_that_qemu_refuses_costs_a_boot_and_is_said(own: OwnStore, monkeypatch: pytest.MonkeyPatch) -> None:
    # Simulates damage from before the seal.
    monkeypatch.setattr("vmlab.store.store.check_object", lambda *_, **__: None)
    _flip_everywhere(own.snapshot / "state")
    testbed = own.testbed()
    with testbed.fork() as running:
        assert not running.is_fork
        assert running.guest.succeed("uname -r").strip() == testbed.image.release
    assert "a fork was discarded and replaced by a boot" in own.notices[0]
    assert testbed.facts is not None
    assert testbed.facts.forks_discarded == 1
    assert not own.snapshot.exists()


def _flip_everywhere(file: Path) -> None:
    content = bytearray(file.read_bytes())
    for place in range(64, len(content), 97):
        content[place] ^= 0xFF
    file.write_bytes(content)


def test_a_snapshots_disk_without_its_image_is_a_clear_error(own: OwnStore) -> None:
    (own.image / "disk.qcow2").unlink()
    with pytest.raises(AssetError, match=r"image debian12-6.1 in the store is damaged: disk\.qcow2 is missing"):
        own.fork()


def test_no_room_for_an_overlay_is_a_clear_error_and_leaves_nothing(
    own: OwnStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = own_directories()
    monkeypatch.setattr("vmlab.machine.machine.OVERLAY_MIB", 10**9)
    with pytest.raises(HostError, match=r"no space left: /var/tmp has .* MiB free, a guest's disk needs"):
        own.fork()
    assert own_directories() == before


def test_no_memory_for_a_fork_is_a_clear_error(own: OwnStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmlab.machine.machine.FORK_MIB", 10**9)
    hasty = replace(own.lab.settings, patience=0.001)
    with pytest.raises(HostError, match="not enough memory"), Testbed(Lab(hasty), own.target).fork():
        pass


def test_another_qemu_gets_another_snapshot(own: OwnStore) -> None:
    own.fork()
    inputs = own.testbed().freezer.inputs(Cargo())
    assert own.lab.store.find("snapshot", inputs) is not None
    assert own.lab.store.find("snapshot", {**inputs, "qemu": "99.0"}) is None


def test_a_snapshot_in_use_is_not_removed_by_a_run_that_needs_room(own: OwnStore) -> None:
    with own.testbed().fork() as running:
        own.lab.store.keep_to(0)
        assert own.snapshot.exists()
        running.guest.succeed("true")
    own.lab.store.keep_to(0)
    assert not own.snapshot.exists()
