# SPDX-License-Identifier: MIT
"""Whoever reads an image, such as a pull request that reads GitHub's cache, looks for the keys of its guests."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from vmlab.catalogue.target import Architecture
from vmlab.errors import AssetError
from vmlab.guest.ssh import Address, connect
from vmlab.host.accelerator import Accelerator
from vmlab.image.image import Draft, Image
from vmlab.image.keys import LabKeys, lab_keys, make_keys
from vmlab.lab.lab import Lab
from vmlab.lab.machines import Running
from vmlab.lab.testbed import Testbed
from vmlab.machine.argv import firmware_spec
from vmlab.machine.machine import Machine
from vmlab.system.process import run

_CHUNK = 1 << 24
_IN_EVERY_DISK = b"Installs the SSH keys that the lab sends"
"""Text of a file that every guest has: a search that does not find it finds no key either."""


def _forms(keys: LabKeys) -> list[bytes]:
    """Return what betrays a key: its numbers, and their text as in OpenSSH's files."""
    forms: list[bytes] = []
    for path in (keys.user, keys.host):
        text = path.read_bytes()
        private = load_ssh_private_key(text, None)
        assert isinstance(private, Ed25519PrivateKey)
        forms += [private.private_bytes_raw(), private.public_key().public_bytes_raw()]
        # Not the first line of the text, whose beginning is the same in all keys.
        forms += text.splitlines()[2:-1]
        forms.append(keys.public(path).split()[1].encode()[-40:])
    return forms


def _found(path: Path, forms: Iterable[bytes]) -> list[bytes]:
    """Return the forms that a file contains."""
    wanted = list(forms)
    longest = max(map(len, wanted))
    found: set[bytes] = set()
    with path.open("rb") as file:
        tail = b""
        while chunk := file.read(_CHUNK):
            text = tail + chunk
            found |= {form for form in wanted if form in text}
            tail = text[-longest:]
    return sorted(found)


@pytest.fixture(scope="module")
def image(vmlab_testbed: Testbed) -> Image:
    with vmlab_testbed.fork():
        pass  # its guests have received the store's keys
    return vmlab_testbed.image


@pytest.fixture(scope="module")
def raw(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's disk as its guest sees it."""
    raw = tmp_path_factory.mktemp("disk") / "raw"
    assert run(["qemu-img", "convert", "-O", "raw", str(image.disk), str(raw)], timeout_s=600).ok
    return raw


def test_the_search_finds_a_key_in_each_of_its_forms(tmp_path: Path) -> None:
    keys = make_keys(tmp_path)
    other = tmp_path / "other"
    other.mkdir()

    assert len(_found(tmp_path / "user", _forms(keys))) >= 3
    for public in ("user.pub", "host.pub"):
        assert len(_found(tmp_path / public, _forms(keys))) == 1
    assert _found(tmp_path / "user", _forms(make_keys(other))) == []


def test_an_images_disk_contains_no_key_of_the_store(vmlab_lab: Lab, raw: Path) -> None:
    forms = _forms(lab_keys(vmlab_lab.store))

    assert _found(raw, [*forms, _IN_EVERY_DISK]) == [_IN_EVERY_DISK]


def test_no_other_file_of_an_image_contains_a_key(vmlab_lab: Lab, image: Image) -> None:
    forms = _forms(lab_keys(vmlab_lab.store))
    files = [path for path in image.disk.parent.rglob("*") if path.is_file() and not path.is_symlink()]

    assert image.disk in files
    assert {path: found for path in files if (found := _found(path, forms))} == {}


@pytest.fixture(scope="module")
def stranger(
    vmlab_lab: Lab, vmlab_testbed: Testbed, image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A guest of another user's store, who has the image from this one."""
    settings = dataclasses.replace(
        vmlab_lab.settings, store=tmp_path_factory.mktemp("store"), shared_store=vmlab_lab.store.root
    )
    testbed = Lab(settings).testbed(vmlab_testbed.target)
    assert testbed.image.disk == image.disk
    with testbed.boot() as running:
        yield running


def test_an_image_serves_another_store_with_that_stores_keys(stranger: Running, vmlab_lab: Lab) -> None:
    keys = stranger.machine.keys
    assert keys is not None

    assert stranger.guest.succeed("cat /etc/ssh/ssh_host_ed25519_key.pub").strip() == keys.public(keys.host)
    assert keys.digest != lab_keys(vmlab_lab.store).digest


@pytest.mark.parametrize("user", ["lab", "root"])
def test_the_keys_of_the_images_maker_open_no_guest_of_another_store(
    stranger: Running, vmlab_lab: Lab, user: str
) -> None:
    keys = stranger.machine.keys
    assert keys is not None
    maker = lab_keys(vmlab_lab.store)
    address = Address(port=stranger.machine.ssh_port, host_key=keys.public(keys.host), user_key=maker.user, user=user)

    with pytest.raises(AssetError, match="refuses the lab's keys"):
        connect(
            address,
            timeout_s=60,
            step_timeout_s=60,
            require_alive=stranger.machine.require_alive,
            evidence=stranger.machine.console.tail,
        )


def test_an_ordinary_process_of_a_guest_does_not_read_its_host_key(stranger: Running) -> None:
    assert not stranger.guest.run("cat /etc/ssh/ssh_host_ed25519_key").ok


def test_qemu_has_no_key_in_its_arguments_its_environment_or_an_open_file(tmp_path: Path) -> None:
    keys = make_keys(tmp_path)
    disk = tmp_path / "disk.qcow2"
    assert run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "64M"], timeout_s=60).ok
    spec = firmware_spec(Architecture.AMD64, Accelerator.TCG, cpus=1, memory_mib=64, uefi=None)

    with Machine(Draft(target_id="hostile", disk=disk), spec, console=tmp_path / "console", keys=keys) as machine:
        place = Path("/proc", str(machine.pid))
        opened = [file.readlink() for file in (place / "fd").iterdir()]

        assert [name for name in ("cmdline", "environ") if _found(place / name, _forms(keys))] == []
        assert not {keys.user, keys.host} & set(opened)
        assert tmp_path / "console" in opened
