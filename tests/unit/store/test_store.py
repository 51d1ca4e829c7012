# SPDX-License-Identifier: MIT
"""The store returns sealed objects unchanged, or names the damaged object."""

from __future__ import annotations

import errno
import json
import os
import time
from collections import namedtuple
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from vmlab.errors import AssetError, BuildError, HostError
from vmlab.store.store import Store, StoredObject, digest_of
from vmlab.system.files import disk_error

INPUTS = {"kernel": "6.1.0-56", "packages": ["gcc-12"]}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def _fill(work: Path) -> Mapping[str, Any]:
    (work / "disk").write_bytes(b"disk" * 1000)
    (work / "tools" / "usr" / "bin").mkdir(parents=True)
    (work / "tools" / "usr" / "bin" / "gcc").write_text("compiler")
    (work / "tools" / "bin").symlink_to("usr/bin")
    return {"target": "debian12-6.1"}


def _must_not_run(_: Path) -> Mapping[str, Any]:
    raise AssertionError("built a second time")


def _rubbish(store: Store) -> list[Path]:
    return list((store.root / "tmp").glob("*"))


def _damage(store: Store) -> str:
    with pytest.raises(AssetError) as caught:
        store.obtain("image", INPUTS, _must_not_run)
    assert "vmlab images prune --damaged" in caught.value.hint
    return caught.value.message


def test_an_object_is_built_once_and_found_again(store: Store) -> None:
    first = store.obtain("image", INPUTS, _fill)
    again = store.obtain("image", dict(reversed(INPUTS.items())), _must_not_run)
    assert (first.is_new, again.is_new) == (True, False)
    assert again.path == first.path
    assert again.facts == {"target": "debian12-6.1"}
    assert again.inputs == INPUTS
    assert again.file("disk").read_bytes() == b"disk" * 1000
    assert again.size_bytes == 4000 + len("compiler")
    assert _rubbish(store) == []


def test_any_change_of_an_input_is_another_object(store: Store) -> None:
    first = store.obtain("image", INPUTS, _fill)
    second = store.obtain("image", INPUTS | {"kernel": "6.1.0-57"}, _fill)
    third = store.obtain("base", INPUTS, _fill)
    assert len({first.path, second.path, third.path}) == 3
    assert [item.kind for item in store.objects()] == ["base", "image", "image"]


def test_the_name_does_not_depend_on_the_order_of_the_inputs() -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": "1"})
    assert len(digest_of({})) == 20


@pytest.mark.parametrize("error", [BuildError("no"), KeyboardInterrupt(), OSError(errno.EIO, "input/output error")])
def test_a_build_that_fails_leaves_nothing(store: Store, error: BaseException) -> None:
    def build(work: Path) -> Mapping[str, Any]:
        (work / "half").write_text("half")
        (work / "locked").mkdir(mode=0o500)
        raise error

    with pytest.raises((BuildError, KeyboardInterrupt, HostError)):
        store.obtain("image", INPUTS, build)
    assert _rubbish(store) == []
    assert store.find("image", INPUTS) is None
    assert store.obtain("image", INPUTS, _fill).is_new


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_the_hosts_fault_with_the_free_space(store: Store, number: int) -> None:
    def build(work: Path) -> Mapping[str, Any]:
        raise OSError(number, os.strerror(number), str(work / "disk"))

    with pytest.raises(HostError, match=r"no space left in .* MiB free") as caught:
        store.obtain("image", INPUTS, build)
    assert "vmlab images prune" in caught.value.hint
    assert _rubbish(store) == []


def test_another_failed_write_is_told_as_such(tmp_path: Path) -> None:
    error = disk_error(PermissionError(errno.EACCES, "Permission denied"), tmp_path)
    assert "Permission denied" in error.message
    assert "no space" not in error.message


def test_a_store_that_cannot_be_made_is_the_hosts_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot write to"):
        Store(tmp_path / "file" / "store").obtain("image", INPUTS, _fill)


def test_a_truncated_file_is_found(store: Store) -> None:
    item = store.obtain("image", INPUTS, _fill)
    os.truncate(item.file("disk"), 100)
    assert "image debian12-6.1 in the store is damaged: disk has SHA-256" in _damage(store)


def test_a_flipped_byte_is_found(store: Store) -> None:
    item = store.obtain("image", INPUTS, _fill)
    _flip(item.file("disk"))
    assert "disk has SHA-256" in _damage(store)


def test_a_missing_file_and_a_missing_folder_are_found(store: Store) -> None:
    item = store.obtain("image", INPUTS, _fill)
    item.file("disk").unlink()
    assert "disk is missing" in _damage(store)


def test_a_manifest_that_is_no_json_is_damage(store: Store) -> None:
    item = store.obtain("image", INPUTS, _fill)
    item.file("manifest.json").write_text("{")
    assert "its manifest cannot be read" in _damage(store)


def test_a_touched_file_with_the_same_bytes_is_fine(store: Store) -> None:
    item = store.obtain("image", INPUTS, _fill)
    os.utime(item.file("disk"), (1, 1))
    assert store.find("image", INPUTS) is not None


def test_an_object_without_its_manifest_is_built_anew(store: Store) -> None:
    item = store.obtain("image", INPUTS, _fill)
    item.file("manifest.json").unlink()
    assert store.obtain("image", INPUTS, _fill).is_new


def test_verify_finds_a_flipped_byte_whose_time_was_put_back(store: Store) -> None:
    def fill(work: Path) -> Mapping[str, Any]:
        (work / "disk").write_bytes(b"disk" * 2**20 + b"more than a look hashes")
        return {}

    item = store.obtain("image", INPUTS, fill)
    store.verify(item)
    _flip(item.file("disk"), keep_time=True)
    assert store.find("image", INPUTS) is not None
    with pytest.raises(AssetError, match="disk has SHA-256"):
        store.verify(item)


def test_a_flipped_byte_in_a_small_file_is_found_at_once_whatever_its_time(store: Store) -> None:
    item = store.obtain("snapshot", INPUTS, _fill)
    _flip(item.file("disk"), keep_time=True)
    with pytest.raises(AssetError, match="disk has SHA-256"):
        store.find("snapshot", INPUTS)


def test_a_file_of_holes_takes_what_is_in_it(store: Store) -> None:
    def fill(work: Path) -> Mapping[str, Any]:
        with (work / "ram").open("wb") as file:
            file.truncate(2**28)
            file.write(b"x" * 4096)
        return {}

    assert store.obtain("snapshot", INPUTS, fill).size_bytes < 2**20


def test_the_same_inputs_made_again_have_another_seal_when_the_bytes_differ(store: Store) -> None:
    first = store.obtain("image", INPUTS, _fill)
    assert store.remove(first)

    def other(work: Path) -> Mapping[str, Any]:
        (work / "disk").write_bytes(b"other")
        return {}

    again = store.obtain("image", INPUTS, other)
    assert again.digest == first.digest
    assert again.seal != first.seal


def test_an_object_that_is_held_is_not_removed(store: Store) -> None:
    item = store.obtain("image", INPUTS, _fill)
    with store.hold(item.path):
        assert not store.remove(item)
        assert store.find("image", INPUTS) is not None
    assert store.remove(item)


def test_an_object_that_is_gone_cannot_be_held(store: Store) -> None:
    item = store.obtain("image", INPUTS, _fill)
    store.remove(item)
    with pytest.raises(AssetError, match="is being removed"), store.hold(item.path):
        pass


def _of_mib(store: Store, number: int) -> StoredObject:
    def fill(work: Path) -> Mapping[str, Any]:
        (work / "disk").write_bytes(bytes([number + 1]) * 2**20)
        return {"name": str(number)}

    item = store.obtain("image", {"number": number}, fill)
    os.utime(item.path / "manifest.json", (1000 + number, 1000 + number))
    return item


def _names(store: Store) -> set[str]:
    return {item.label for item in store.objects()}


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    store = Store(tmp_path, budget_gib=3.5 / 1024)
    for number in range(3):
        _of_mib(store, number)
    store.find("image", {"number": 0})
    _of_mib(store, 3)
    assert _names(store) == {"0", "2", "3"}


def test_what_is_held_stays_though_it_was_not_used_for_longest(tmp_path: Path) -> None:
    store = Store(tmp_path, budget_gib=2.5 / 1024)
    oldest = _of_mib(store, 0)
    with store.hold(oldest.path):
        for number in (1, 2):
            _of_mib(store, number)
    assert _names(store) == {"0", "2"}


def test_an_object_larger_than_the_budget_stays_when_it_is_made(tmp_path: Path) -> None:
    store = Store(tmp_path, budget_gib=0.5 / 1024)
    for number in range(2):
        _of_mib(store, number)
    assert _names(store) == {"1"}


def test_without_a_figure_the_budget_follows_the_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(0, 0, 4 * 2**30))
    assert store.budget_bytes() == 3 * 2**30


def test_verify_looks_into_a_folder(store: Store) -> None:
    item = store.obtain("image", INPUTS, _fill)
    _flip(item.file("tools/usr/bin/gcc"), keep_time=True)
    with pytest.raises(AssetError, match="tools has SHA-256"):
        store.verify(item)


def test_verify_finds_a_link_to_a_folder_that_is_gone(store: Store) -> None:
    item = store.obtain("image", INPUTS, _fill)
    tools = item.file("tools")
    sealed = tools.stat()
    (tools / "bin").unlink()
    os.utime(tools, ns=(sealed.st_atime_ns, sealed.st_mtime_ns))
    with pytest.raises(AssetError, match="tools has SHA-256"):
        store.verify(item)


def test_finding_an_object_marks_it_used(store: Store) -> None:
    item = store.obtain("image", INPUTS, _fill)
    os.utime(item.file("manifest.json"), (1000, 1000))
    assert store.last_used(item) == 1000
    store.find("image", INPUTS)
    assert time.time() - store.last_used(item) < 60


def test_a_removed_object_is_gone_whole(store: Store) -> None:
    item = store.obtain("image", INPUTS, _fill)
    (item.file("tools") / "usr").chmod(0o500)
    store.remove(item)
    store.remove(item)
    assert list(store.objects()) == []
    assert not item.path.exists()
    assert store.last_used(item) == 0.0
    assert _rubbish(store) == []


def test_a_note_is_remembered_with_its_age_and_replaced_at_once(store: Store) -> None:
    assert store.note("kvm") is None
    store.remember("kvm", {"reason": "first"})
    store.remember("kvm", {"reason": "second"})
    note = store.note("kvm")
    assert note is not None
    assert note[0] == {"reason": "second"}
    assert 0 <= note[1] < 60
    assert [path.name for path in (store.root / "notes").iterdir()] == ["kvm.json"]


def test_a_broken_note_counts_as_none(store: Store) -> None:
    store.remember("kvm", 1)
    (store.root / "notes" / "kvm.json").write_text("{")
    assert store.note("kvm") is None


def test_the_manifest_tells_what_went_in(store: Store) -> None:
    item = store.obtain("image", INPUTS, _fill)
    manifest = json.loads(item.file("manifest.json").read_text())
    assert manifest["inputs"] == INPUTS
    assert set(manifest["files"]) == {"disk", "tools"}


def _flip(path: Path, *, keep_time: bool = False) -> None:
    before = path.stat()
    raw = bytearray(path.read_bytes())
    raw[0] ^= 1
    path.write_bytes(raw)
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
