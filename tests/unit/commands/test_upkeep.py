# SPDX-License-Identifier: MIT
"""Pruning removes objects that no run will use again, including snapshots, and never one in use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from vmlab.catalogue.cloud_image import Algorithm
from vmlab.catalogue.target import Architecture
from vmlab.cloud.lock import ImageLock, LockedImage
from vmlab.commands import upkeep
from vmlab.errors import AssetError, HostError, UsageError
from vmlab.image.keys import lab_keys
from vmlab.image.sealed import cached_image
from vmlab.lab.lab import Lab
from vmlab.settings import load_settings
from vmlab.store.store import StoredObject
from vmlab.testing import FakeLab

QEMU = "7.2.22"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return FakeLab(load_settings({"store": str(tmp_path / "store")}, directory=tmp_path, environment={}))


def _add(lab: Lab, kind: str, facts: Mapping[str, Any], **inputs: str) -> StoredObject:
    def fill(work: Path) -> Mapping[str, Any]:
        (work / "file").write_text(str(inputs))
        return facts

    return lab.store.obtain(kind, inputs, fill)


def _image(lab: Lab, kernel: str) -> StoredObject:
    return _add(lab, "image", {"target": "debian12-6.1"}, kernel=kernel)


def _snapshot(lab: Lab, image: StoredObject, stage: str = "ready", **changes: str) -> StoredObject:
    facts = {"target": "debian12-6.1", "name": f"debian12-6.1 {stage}"}
    inputs = {"image": image.digest, "image_seal": image.seal, "keys": lab_keys(lab.store).digest, "qemu": QEMU}
    return _add(lab, "snapshot", facts, **inputs | changes)


def _left_after_prune(lab: Lab) -> set[str]:
    upkeep.prune(lab, (), is_all=False, is_damaged_only=False, say=lambda _: None)
    return {item.digest for item in lab.store.objects()}


def test_an_image_and_its_snapshots_of_today_stay(lab: Lab) -> None:
    image = _image(lab, "6.1.1")
    ready, loaded = _snapshot(lab, image), _snapshot(lab, image, "loaded fibdrv", module="fibdrv")
    assert _left_after_prune(lab) == {image.digest, ready.digest, loaded.digest}


def test_a_superseded_images_snapshots_go_with_it(lab: Lab) -> None:
    old = _image(lab, "6.1.1")
    _snapshot(lab, old)
    new = _image(lab, "6.1.2")
    ready = _snapshot(lab, new)
    assert _left_after_prune(lab) == {new.digest, ready.digest}


@pytest.mark.parametrize("change", [{"qemu": "6.0"}, {"image_seal": "made before"}, {"keys": "others"}])
def test_a_snapshot_that_no_run_can_take_goes(lab: Lab, change: dict[str, str]) -> None:
    image = _image(lab, "6.1.1")
    _snapshot(lab, image, **change)
    assert _left_after_prune(lab) == {image.digest}


def test_of_a_modules_snapshots_the_newest_stays(lab: Lab) -> None:
    image = _image(lab, "6.1.1")
    _snapshot(lab, image, "loaded fibdrv", source="yesterday's")
    newest = _snapshot(lab, image, "loaded fibdrv", source="today's")
    assert _left_after_prune(lab) == {image.digest, newest.digest}


def test_what_is_in_use_stays_and_is_said(lab: Lab) -> None:
    image = _image(lab, "6.1.1")
    said: list[str] = []
    with lab.store.hold(image.path):
        upkeep.prune(lab, (), is_all=True, is_damaged_only=False, say=said.append)
    assert [item.digest for item in lab.store.objects()] == [image.digest]
    assert said[0].split() == ["in", "use", "image", "debian12-6.1"]


class _LabWithoutQemu(FakeLab):
    def qemu_version(self, architecture: Architecture) -> str:
        raise HostError(f"there is no QEMU for {architecture}")


def test_a_store_without_qemu_can_be_pruned(lab: Lab) -> None:
    image = _image(lab, "6.1.1")
    _snapshot(lab, image)
    assert _left_after_prune(_LabWithoutQemu(lab.settings)) == {image.digest}


def test_a_strict_boots_snapshots_are_its_targets(lab: Lab) -> None:
    strict = _add(lab, "snapshot", {"target": "debian12-6.1+strict", "name": "debian12-6.1+strict ready"}, machine="1")
    other = _add(lab, "snapshot", {"target": "debian13-6.12", "name": "debian13-6.12 ready"}, machine="2")
    for name in ("debian12-6.1", "debian12-6.1+strict"):
        chosen = [item.digest for item in upkeep.chosen_objects(lab.store, lab.matrix.select(name))]
        assert strict.digest in chosen
        assert other.digest not in chosen


def test_a_kernels_newest_symbols_stay(lab: Lab) -> None:
    facts = {"target": "debian12-6.1", "name": "debian12-6.1 symbols"}
    old = _add(lab, "vmlinux", facts, version="1")
    new = _add(lab, "vmlinux", facts, version="2")
    left = _left_after_prune(lab)
    assert new.digest in left
    assert old.digest not in left


def test_of_a_publishers_image_the_newest_file_stays_and_parts_that_nobody_fetches_go(lab: Lab) -> None:
    facts = {"name": "ubuntu24.04-amd64"}
    old = _add(lab, "cloud-image", facts, digest="1")
    new = _add(lab, "cloud-image", facts, digest="2")
    part = lab.store.directory("parts/cloud-image-01234567890123456789") / "data"
    part.write_bytes(b"half")
    upkeep.prune(lab, lab.matrix.select("debian12-6.1"), is_all=False, is_damaged_only=False, say=lambda _: None)
    assert part.is_file(), "what another target's prune says nothing of"
    said: list[str] = []
    upkeep.prune(lab, (), is_all=False, is_damaged_only=False, say=said.append)
    assert [item.digest for item in lab.store.objects()] == [new.digest]
    assert old.digest != new.digest
    assert not part.exists()
    assert "removed  the partial download of cloud-image-01234567890123456789  0 MiB" in said


def test_refreshing_a_cloud_image_has_the_next_run_install_it_anew(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = LockedImage(
        id="ubuntu24.04-amd64", name="noble.img", size_bytes=1, algorithm=Algorithm.SHA256, digest="a" * 64
    )
    lock = ImageLock(path=tmp_path / "lock.toml", rows={row.id: row})
    monkeypatch.setattr(upkeep, "lock_of", lambda _: lock)
    said: list[str] = []
    upkeep.refresh(lab, lab.matrix.select("ubuntu24.04-6.8,ubuntu26.04-7.0"), say=said.append)
    assert said == [
        "ubuntu24.04-6.8: the next run provisions ubuntu24.04-amd64 again",
        "ubuntu26.04-7.0: the next run provisions ubuntu26.04-amd64 again; first run "
        "`vmlab images lock ubuntu26.04-amd64`",
    ]
    assert lab.store.note("wanted-anew-ubuntu24.04-6.8") is not None


def _left_after_rm(lab: Lab, *words: str, is_done: bool = True) -> set[str]:
    assert upkeep.remove(lab, words, say=lambda _: None) is is_done
    return {item.digest for item in lab.store.objects()}


def test_rm_of_a_target_takes_its_image_its_snapshots_and_what_was_built_for_it(lab: Lab) -> None:
    image = _image(lab, "6.1.1")
    _snapshot(lab, image)
    _add(lab, "module", {"ko": "fib.ko"}, image=image.digest)
    base = _add(lab, "base", {}, codename="bookworm")
    other = _add(lab, "image", {"target": "debian13-6.12"}, kernel="6.12.1")

    assert _left_after_rm(lab, "debian12-6.1") == {base.digest, other.digest}


def test_rm_of_a_digest_takes_that_image_and_what_was_made_from_it(lab: Lab) -> None:
    old, new = _image(lab, "6.1.1"), _image(lab, "6.1.2")
    _snapshot(lab, old)
    kept = _snapshot(lab, new)

    assert _left_after_rm(lab, old.digest[:8]) == {new.digest, kept.digest}


def test_rm_of_a_snapshots_digest_leaves_its_image(lab: Lab) -> None:
    image = _image(lab, "6.1.1")
    snapshot = _snapshot(lab, image)

    assert _left_after_rm(lab, snapshot.digest) == {image.digest}


def test_rm_of_a_publishers_image_takes_the_file_that_was_fetched(lab: Lab) -> None:
    _add(lab, "cloud-image", {"name": "ubuntu24.04-amd64"}, digest="1")

    assert _left_after_rm(lab, "ubuntu24.04-amd64") == set()


def test_rm_says_what_is_not_there_and_fails(lab: Lab) -> None:
    image = _image(lab, "6.1.1")
    said: list[str] = []

    assert not upkeep.remove(lab, ["debian13-7.3", "0123456789"], say=said.append)

    assert said == ["no object of debian13-7.3 is in the store", "no object of 0123456789 is in the store"]
    assert _left_after_rm(lab, "debian12-6.1") == set()
    assert image.digest not in _left_after_rm(lab, "debian12-6.1", is_done=False)


def test_rm_leaves_what_is_in_use_and_fails(lab: Lab) -> None:
    image = _image(lab, "6.1.1")
    with lab.store.hold(image.path):
        assert _left_after_rm(lab, "debian12-6.1", is_done=False) == {image.digest}


def test_rm_of_no_target_is_wrong_usage(lab: Lab) -> None:
    with pytest.raises(UsageError, match="unknown target 'debain12'"):
        upkeep.remove(lab, ["debain12"], say=lambda _: None)
    with pytest.raises(UsageError, match="no target or digest was given"):
        upkeep.remove(lab, [], say=lambda _: None)


@pytest.mark.parametrize("way", ["prune", "rm"])
def test_an_object_whose_manifest_cannot_be_read_can_be_removed(lab: Lab, way: str) -> None:
    image, broken = _image(lab, "6.1.1"), _image(lab, "6.1.2")
    broken.file("manifest.json").write_text("{")
    with pytest.raises(AssetError) as caught:
        lab.store.find("image", broken.inputs)

    if way == "rm":
        assert upkeep.remove(lab, [broken.digest], say=lambda _: None)
    else:
        assert "`vmlab images prune --damaged`" in caught.value.hint
        upkeep.prune(lab, (), is_all=False, is_damaged_only=True, say=lambda _: None)

    assert [item.digest for item in lab.store.objects()] == [image.digest]


def test_an_image_without_its_facts_names_the_command_that_removes_it(lab: Lab) -> None:
    image = _image(lab, "6.1.1")

    with pytest.raises(AssetError) as caught:
        cached_image(lab.matrix.select("debian12-6.1")[0], lab.store)

    program, *words = caught.value.hint.split()
    assert (program, *words[:2]) == ("vmlab", "images", "rm")
    assert _left_after_rm(lab, *words[2:]) == set()
    assert words[2:] == [image.digest]


def test_nothing_is_removed_without_a_store(lab: Lab) -> None:
    said: list[str] = []

    upkeep.prune(lab, (), is_all=True, is_damaged_only=False, say=said.append)

    assert said == [f"nothing to remove: no store in {lab.store.root}"]
    assert not lab.store.root.exists()


def test_a_word_that_names_nothing_known_removes_nothing_of_the_others(lab: Lab) -> None:
    image = _image(lab, "6.1.1")

    with pytest.raises(UsageError, match="unknown target 'nope'"):
        upkeep.remove(lab, ["debian12-6.1", "nope"], say=lambda _: None)

    assert [item.digest for item in lab.store.objects()] == [image.digest]
