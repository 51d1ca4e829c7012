# SPDX-License-Identifier: MIT
"""The lock reads back as it was written, and each kind of damage gets a one-line error."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from vmlab.catalogue.cloud_image import Algorithm
from vmlab.catalogue.matrix import catalogue_directory, load_matrix
from vmlab.cloud.lock import ImageLock, LockedImage, lock_of, read_lock, require_locked, write_lock
from vmlab.errors import AssetError, HostError, UsageError
from vmlab.settings import load_settings

ROW = LockedImage(
    id="ubuntu24.04-amd64",
    name="ubuntu-24.04-server-cloudimg-amd64.img",
    size_bytes=3,
    algorithm=Algorithm.SHA256,
    digest="ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",  # the "abc" example of FIPS 180-4
)


@pytest.fixture
def lock(tmp_path: Path) -> ImageLock:
    made = ImageLock(path=tmp_path / "lock.toml").with_row(ROW)
    write_lock(made)
    return made


def test_a_lock_reads_as_it_was_written(lock: ImageLock) -> None:
    other = dataclasses.replace(ROW, id="debian12-amd64", algorithm=Algorithm.SHA512, digest="c3" * 64)
    write_lock(lock.with_row(other))
    assert read_lock(lock.path).rows == {ROW.id: ROW, other.id: other}
    assert list(read_lock(lock.path).rows) == [other.id, ROW.id], "sorted, so that two people's changes meet"


def test_a_lock_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read_lock(tmp_path / "lock.toml").rows == {}


def test_an_image_without_a_row_says_what_to_type(tmp_path: Path) -> None:
    image = load_matrix().images[0]
    with pytest.raises(AssetError) as caught:
        read_lock(tmp_path / "lock.toml").row(image)
    assert f"{image.id} is not locked" in caught.value.message
    assert f"`vmlab images lock {image.id}`" in caught.value.hint


def test_many_images_without_a_row_are_counted_not_listed(tmp_path: Path) -> None:
    targets = load_matrix().select("cloud")
    settings = load_settings({"lock": str(tmp_path / "lock.toml")}, directory=tmp_path, environment={})

    with pytest.raises(AssetError) as caught:
        require_locked(targets, settings)

    assert len(targets) > 6
    assert f" and {len(targets) - 3} more are not locked" in caught.value.message
    assert caught.value.hint.startswith("`vmlab images lock` ")


def test_the_settings_name_another_lock(tmp_path: Path, lock: ImageLock) -> None:
    def settings(**options: str) -> ImageLock:
        return lock_of(load_settings(options, directory=tmp_path, environment={}))

    assert settings().path == catalogue_directory() / "lock.toml"
    assert settings(lock=str(lock.path)) == lock


def test_every_row_of_the_own_lock_is_of_an_image_in_the_catalogue() -> None:
    known = {image.id: image for image in load_matrix().images}
    for row in read_lock(catalogue_directory() / "lock.toml").rows.values():
        assert row.algorithm is known[row.id].algorithm


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("size_bytes = 3", "size_bytes =", "not valid TOML"),
        ("[[image]]", "[[image]", "not valid TOML"),
        ("[[image]]", "[[picture]]", "picture: unknown key"),
        ("size_bytes", "size", "size: unknown key"),
        ("size_bytes = 3\n", "", "size_bytes: this key is missing"),
        ("size_bytes = 3", "size_bytes = 3\nsize = 3", "size: unknown key"),
        ("size_bytes = 3", "size_bytes = 0", "size_bytes must be positive, got 0"),
        ("size_bytes = 3", 'size_bytes = "3"', "size_bytes: expected int, got '3'"),
        ('algorithm = "sha256"', 'algorithm = "md5"', "algorithm: unknown word 'md5'"),
        ('algorithm = "sha256"', 'algorithm = "sha512"', "digest must be a hexadecimal sha512"),
        (ROW.digest, ROW.digest[:-1], "digest must be a hexadecimal sha256"),
        (ROW.digest, "Z" * 64, "digest must be a hexadecimal sha256"),
        (f'digest = "{ROW.digest}"\n', "", "digest: this key is missing"),
        (ROW.name, "../../etc/passwd", "name must be a file name"),
    ],
)
def test_a_damaged_lock_is_told_with_file_and_key(lock: ImageLock, before: str, after: str, told: str) -> None:
    text = lock.path.read_text()
    assert before in text
    lock.path.write_text(text.replace(before, after))
    with pytest.raises(UsageError) as caught:
        read_lock(lock.path)
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.message.startswith(f"the lock is damaged: {lock.path}")
    assert told in caught.value.message


def test_a_row_that_is_there_twice_is_damage(lock: ImageLock) -> None:
    text = lock.path.read_text()
    lock.path.write_text(text + text[text.index("[[image]]") :])
    with pytest.raises(UsageError, match="is duplicated"):
        read_lock(lock.path)


def test_a_file_that_is_the_locked_one_passes(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(b"abc")
    ROW.require(path, what="it")


def test_a_file_that_is_not_the_locked_one_is_told_with_both_digests(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(b"xyz")
    with pytest.raises(AssetError, match=f"sha256 3608bca1.*, the lock has {ROW.digest}"):
        ROW.require(path, what="it")
    path.write_bytes(b"wxyz")
    with pytest.raises(AssetError, match="it has 4 bytes, the lock has 3"):
        ROW.require(path, what="it")


def test_a_lock_that_cannot_be_written_is_the_hosts_fault_and_stays_as_it_was(lock: ImageLock) -> None:
    blocked = dataclasses.replace(lock, path=lock.path / "below" / "lock.toml")
    with pytest.raises(HostError, match="was not written: cannot write"):
        write_lock(blocked)
    assert read_lock(lock.path).rows == lock.rows
