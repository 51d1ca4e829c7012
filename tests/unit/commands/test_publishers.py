# SPDX-License-Identifier: MIT
"""`vmlab images lock` writes publishers' offers, `check` reports changes; neither downloads an image."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import publisher as faults
import pytest
from publisher import Publisher, checksum_list

from unit.cloud.offers import LIST, NAME, PATH, Waits, image_at, qcow2
from vmlab.catalogue.cloud_image import CloudImage
from vmlab.catalogue.matrix import load_matrix
from vmlab.cloud.http import Web
from vmlab.cloud.lock import lock_of
from vmlab.commands import main as cli
from vmlab.commands import publishers
from vmlab.errors import UsageError
from vmlab.settings import Settings, load_settings

_OLD, _NEW = qcow2(seed=1), qcow2(seed=2, size=300_000)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with Publisher() as publisher:
        _offer(publisher, _OLD)
        yield publisher


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"lock": str(tmp_path / "lock.toml")}, directory=tmp_path, environment={})


def _offer(publisher: Publisher, content: bytes) -> None:
    publisher.offer(PATH, content)
    publisher.offer(LIST, checksum_list({NAME: content}))


def _gone(publisher: Publisher) -> CloudImage:
    """An image whose publisher has no list of it."""
    return dataclasses.replace(image_at(publisher), id="gone-amd64", checksums=(publisher.url("/nowhere"),))


def _lock(settings: Settings, *images: CloudImage) -> tuple[bool, list[str]]:
    said: list[str] = []
    return publishers.lock_images(images, settings, say=said.append, web=Web(pause=Waits())), said


def _check(settings: Settings, *images: CloudImage) -> tuple[bool, list[str]]:
    said: list[str] = []
    return publishers.check_images(images, settings, say=said.append, web=Web(pause=Waits())), said


def test_what_is_offered_is_locked_without_being_fetched(publisher: Publisher, settings: Settings) -> None:
    image = image_at(publisher)
    is_whole, (line, signature) = _lock(settings, image)
    row = lock_of(settings).rows[image.id]
    assert is_whole
    assert line == f"locked     {image.id}: {NAME}, {len(_OLD)} bytes, sha256 {row.digest}"
    assert signature.strip() == f"{image.id}: its list has no known signature"
    assert (row.name, row.size_bytes) == (NAME, len(_OLD))
    assert [asked.method for asked in publisher.asked_for(PATH)] == ["HEAD"]
    assert _lock(settings, image)[1][0].startswith("unchanged  ")


def test_a_signed_list_that_cannot_be_checked_is_locked_only_when_that_is_asked(
    publisher: Publisher, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmlab.cloud.publisher.find_keyring", lambda _: None)
    image = dataclasses.replace(image_at(publisher), signature=".gpg", keyrings=("/nowhere/key",))

    is_whole, (line,) = _lock(settings, image)

    assert not is_whole
    assert line.startswith(
        f"refused    {image.id}: its list's signature was not checked: this host lacks gpgv or all of"
    )
    assert lock_of(settings).rows == {}

    said: list[str] = []
    web = Web(pause=Waits())
    assert publishers.lock_images([image], settings, say=said.append, web=web, is_unchecked_accepted=True)
    assert said[0].startswith(f"locked     {image.id}: ")
    assert "was not checked" in said[1]


def test_what_moved_is_told_with_both_and_locked_when_asked_to(publisher: Publisher, settings: Settings) -> None:
    image = image_at(publisher)
    _lock(settings, image)
    old = lock_of(settings).rows[image.id]
    assert _check(settings, image)[0]
    _offer(publisher, _NEW)
    is_still, (line,) = _check(settings, image)
    assert not is_still
    assert lock_of(settings).rows[image.id] == old, "checking changes nothing"
    _lock(settings, image)
    new = lock_of(settings).rows[image.id]
    assert line == (
        f"changed    {image.id}: locked: {NAME}, {len(_OLD)} bytes, sha256 {old.digest}; "
        f"offered: {NAME}, {len(_NEW)} bytes, sha256 {new.digest}"
    )


def test_one_publisher_that_is_away_costs_no_other_row(publisher: Publisher, settings: Settings) -> None:
    is_whole, said = _lock(settings, _gone(publisher), image_at(publisher))
    assert not is_whole
    assert said[0].startswith("no answer  gone-amd64: 127.0.0.1 answered 404 Not Found to ")
    assert list(lock_of(settings).rows) == [image_at(publisher).id]


def test_a_row_whose_publisher_is_away_stays(publisher: Publisher, settings: Settings) -> None:
    image = image_at(publisher)
    _lock(settings, image)
    before = lock_of(settings).rows
    publisher.order_always(LIST, faults.portal())
    assert not _lock(settings, image)[0]
    assert not _check(settings, image)[0]
    assert lock_of(settings).rows == before


def test_what_is_not_locked_is_said_and_no_fault(publisher: Publisher, settings: Settings) -> None:
    is_still, said = _check(settings, image_at(publisher))
    assert is_still
    assert said == [f"not locked {image_at(publisher).id}"]
    assert publisher.asked == []


def test_images_are_named_by_their_own_id_or_by_their_targets() -> None:
    matrix = load_matrix()
    assert [image.id for image in publishers.chosen_images(matrix, ["ubuntu22.04-amd64"])] == ["ubuntu22.04-amd64"]
    both = publishers.chosen_images(matrix, ["ubuntu22.04-*", "almalinux9-5.14"])
    assert [image.id for image in both] == ["ubuntu22.04-amd64", "almalinux9-amd64"]
    assert publishers.chosen_images(matrix, []) == matrix.images


def test_a_target_out_of_packages_has_no_publisher_to_ask() -> None:
    with pytest.raises(UsageError, match=r"'debian12-6\.1' is made from packages"):
        publishers.chosen_images(load_matrix(), ["debian12-6.1"])
    with pytest.raises(UsageError, match=r"did you mean 'ubuntu22\.04"):
        publishers.chosen_images(load_matrix(), ["ubuntu22.04-6.9"])


def test_a_damaged_lock_is_one_line_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lock.toml").write_text("[[image]]\nid = 3\n")
    for action in ("lock", "check"):
        assert cli.main(["images", action, "--vmlab-lock", "lock.toml"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("vmlab: the lock is damaged: ")
        assert "restore it, or remove it" in line
