# SPDX-License-Identifier: MIT
"""The lab has separate SSH keys, made once and readable by the owner only."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from vmlab.errors import AssetError
from vmlab.image.keys import lab_keys
from vmlab.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_keys_are_made_once(store: Store) -> None:
    first = lab_keys(store)
    texts = [first.user.read_bytes(), first.host.read_bytes()]
    again = lab_keys(store)
    assert [again.user.read_bytes(), again.host.read_bytes()] == texts
    assert texts[0] != texts[1]


def test_private_keys_are_the_owners_alone(store: Store) -> None:
    keys = lab_keys(store)
    for private in (keys.user, keys.host):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
        assert private.read_text().startswith("-----BEGIN OPENSSH PRIVATE KEY-----")


def test_the_public_half_belongs_to_the_private_one(store: Store) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

    keys = lab_keys(store)
    key = load_ssh_private_key(keys.user.read_bytes(), None)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert keys.public(keys.user) == public
    assert public.startswith("ssh-ed25519 ")


def test_a_key_whose_making_was_cut_short_is_made_anew(store: Store) -> None:
    keys = lab_keys(store)
    keys.user.write_bytes(b"")
    keys.user.with_suffix(".pub").unlink()
    assert lab_keys(store).user.read_bytes().startswith(b"-----BEGIN")


def test_a_disk_that_refuses_a_key_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store.directory("keys")
    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(AssetError, match="No space left on device"):
        lab_keys(store)
