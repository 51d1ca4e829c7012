# SPDX-License-Identifier: MIT
"""The lab has separate SSH keys, made once and readable by the owner only."""

from __future__ import annotations

import io
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from vmlab.catalogue.matrix import catalogue_directory
from vmlab.errors import AssetError
from vmlab.image.keys import known_keys, lab_keys, make_keys
from vmlab.image.recipe import load_recipe
from vmlab.machine.argv import LINE_NAME
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


def test_keys_are_known_once_they_were_made(store: Store) -> None:
    assert known_keys(store) is None

    keys = lab_keys(store)

    assert known_keys(store) == keys


def test_other_keys_have_another_digest(store: Store, tmp_path: Path) -> None:
    keys = lab_keys(store)
    copy = Store(tmp_path / "copy")
    shutil.copytree(store.root / "keys", copy.directory("keys"), dirs_exist_ok=True)

    assert lab_keys(copy).digest == keys.digest
    assert make_keys(tmp_path).digest != keys.digest


def test_a_guest_receives_its_host_key_and_the_users_public_key(store: Store) -> None:
    keys = lab_keys(store)

    sent = keys.for_guest()

    with tarfile.open(fileobj=io.BytesIO(sent)) as archive:
        modes = {row.name.removeprefix("./"): (row.mode, row.uid, row.gid) for row in archive}
    assert modes == {
        "ssh_host_ed25519_key": (0o600, 0, 0),
        "ssh_host_ed25519_key.pub": (0o644, 0, 0),
        "authorized_keys/lab": (0o644, 0, 0),
        "authorized_keys/root": (0o644, 0, 0),
    }
    assert keys.host.read_bytes() in sent
    assert keys.user.read_bytes() not in sent
    assert sent.count(keys.public(keys.user).encode()) == 2


def test_the_guests_script_reads_as_much_as_is_sent_from_the_labs_port(store: Store) -> None:
    script = load_recipe("debian").overlay["etc/vmlab/receive-keys"]

    assert f"head -c {len(lab_keys(store).for_guest())} <" in script
    assert f'"$word" = {LINE_NAME} ]' in script
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)


def test_the_files_of_every_guest_count_in_every_recipe(tmp_path: Path) -> None:
    shutil.copytree(catalogue_directory() / "recipes", tmp_path / "recipes")
    before = load_recipe("debian", tmp_path).digest
    unit = tmp_path / "recipes" / "guest" / "overlay" / "etc" / "systemd" / "system" / "vmlab-keys.service"

    unit.write_text(unit.read_text() + "# more\n")

    assert load_recipe("debian", tmp_path).digest != before
