# SPDX-License-Identifier: MIT
"""A signed list is accepted only with a valid signature, where this host has the key.

signed/ was made once with a temporary key: gpg --quick-gen-key, --detach-sign, --clearsign, --export.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from publisher import Publisher

from unit.cloud.offers import Waits, image_at, qcow2
from vmlab.catalogue.cloud_image import CloudImage
from vmlab.cloud.http import Web
from vmlab.cloud.publisher import look
from vmlab.cloud.signature import check_signature, find_keyring, require_signed
from vmlab.errors import AssetError
from vmlab.system.process import find_program

SIGNED = Path(__file__).parent / "signed"
SIGNER = "72F07CF6B5078DB5B1161D04CAB2CA43C06483FD"
LIST = (SIGNED / "SHA256SUMS").read_text()
CHECKSUM = (SIGNED / "CHECKSUM").read_text()
DETACHED = (SIGNED / "SHA256SUMS.gpg").read_bytes()

needs_gpgv = pytest.mark.skipif(find_program("gpgv") is None, reason="gpgv is not installed")


@needs_gpgv
@pytest.mark.parametrize("keyring", ["publisher.gpg", "publisher.asc"])
@pytest.mark.parametrize(("text", "detached"), [(LIST, DETACHED), (CHECKSUM, None)], ids=["beside it", "inside"])
def test_a_good_signature_tells_whose_it_is(keyring: str, text: str, detached: bytes | None) -> None:
    assert check_signature(text, SIGNED / keyring, where="list", detached=detached) == SIGNER


@needs_gpgv
@pytest.mark.parametrize(
    ("text", "detached", "keyring", "told"),
    [
        (LIST.replace("a1a1", "a1a2", 1), DETACHED, "publisher.gpg", "list: its signature is invalid"),
        (CHECKSUM.replace("a1a1", "a1a2", 1), None, "publisher.gpg", "list: its signature is invalid"),
        (LIST, DETACHED[:-3], "publisher.gpg", "list: its signature is invalid"),
        (LIST, b"", "publisher.gpg", "list: its signature is invalid"),
        (LIST, b"<html>", "publisher.gpg", "list: its signature is invalid"),
        (LIST, None, "publisher.gpg", "list: its signature is invalid"),
        (LIST, DETACHED, "other.asc", f"list: its signature is by a key that is not in {SIGNED / 'other.asc'}"),
        (CHECKSUM, None, "other.asc", f"list: its signature is by a key that is not in {SIGNED / 'other.asc'}"),
        (LIST, DETACHED, "SHA256SUMS", f"list: its signature is by a key that is not in {SIGNED / 'SHA256SUMS'}"),
    ],
)
def test_any_other_signature_is_refused(text: str, detached: bytes | None, keyring: str, told: str) -> None:
    with pytest.raises(AssetError) as caught:
        check_signature(text, SIGNED / keyring, where="list", detached=detached)
    assert caught.value.message == told


def test_a_list_without_the_signature_that_its_publisher_gives_it_is_refused() -> None:
    require_signed(CHECKSUM, where="list")
    with pytest.raises(AssetError, match="list is not signed, but its publisher signs it"):
        require_signed(LIST, where="list")


def test_a_host_without_the_key_has_no_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmlab.cloud.signature.find_program", lambda _: "/usr/bin/gpgv")
    there = SIGNED / "publisher.gpg"
    assert find_keyring([str(tmp_path / "none.gpg"), str(there)]) == there
    assert find_keyring([str(tmp_path / "none.gpg")]) is None
    monkeypatch.setattr("vmlab.cloud.signature.find_program", lambda _: None)
    assert find_keyring([str(there)]) is None


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with Publisher() as publisher:
        publisher.offer("/images/noble.img", qcow2())
        publisher.offer("/images/SHA256SUMS", LIST.encode())
        publisher.offer("/images/SHA256SUMS.gpg", DETACHED)
        publisher.offer("/images/CHECKSUM", CHECKSUM.encode())
        yield publisher


def _image(publisher: Publisher, listed: str, signature: str, keyring: str) -> CloudImage:
    return dataclasses.replace(
        image_at(publisher),
        id="noble",
        urls=(publisher.url("/images/noble.img"),),
        checksums=(publisher.url(f"/images/{listed}"),),
        signature=signature,
        keyrings=(str(SIGNED / keyring),),
    )


def _look(image: CloudImage) -> str:
    notices: list[str] = []
    look(image, Web(pause=Waits()), notice=notices.append)
    (notice,) = notices
    return notice


@needs_gpgv
@pytest.mark.parametrize(("listed", "signature"), [("SHA256SUMS", ".gpg"), ("CHECKSUM", "inside")])
def test_who_signed_a_list_is_told(publisher: Publisher, listed: str, signature: str) -> None:
    assert _look(_image(publisher, listed, signature, "publisher.gpg")) == f"noble: its list is signed by {SIGNER}"
    with pytest.raises(AssetError, match=r"noble: .* its signature is by a key that is not in"):
        _look(_image(publisher, listed, signature, "other.asc"))


@needs_gpgv
def test_a_signature_that_is_gone_is_a_list_without_one(publisher: Publisher) -> None:
    publisher.withdraw("/images/SHA256SUMS.gpg")
    with pytest.raises(AssetError, match=r"answered 404 .*/SHA256SUMS\.gpg"):
        _look(_image(publisher, "SHA256SUMS", ".gpg", "publisher.gpg"))


def test_an_unsigned_list_is_refused_also_without_the_key(publisher: Publisher) -> None:
    with pytest.raises(AssetError, match="is not signed, but its publisher signs it"):
        _look(_image(publisher, "SHA256SUMS", "inside", "nowhere.gpg"))


def test_what_was_not_checked_is_told(publisher: Publisher) -> None:
    unknown = _look(_image(publisher, "SHA256SUMS", ".gpg", "nowhere.gpg"))
    assert unknown.startswith("noble: its list's signature was not checked: this host lacks gpgv or all of ")
    assert _look(_image(publisher, "SHA256SUMS", "", "nowhere.gpg")) == "noble: its list has no known signature"
