# SPDX-License-Identifier: MIT
"""The seed as cloud-init reads it: its label, file names and contents."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pycdlib
import pytest

from vmlab.cloud.seed import write_seed
from vmlab.image.keys import LabKeys, lab_keys
from vmlab.store.store import Store


@pytest.fixture
def keys(tmp_path: Path) -> LabKeys:
    return lab_keys(Store(tmp_path / "store"))


def _read(path: Path, name: str, **how: str) -> str:
    iso = pycdlib.PyCdlib()
    iso.open(str(path))
    data = io.BytesIO()
    iso.get_file_from_iso_fp(data, **dict.fromkeys(how, f"/{name}"))
    iso.close()
    return data.getvalue().decode()


@pytest.mark.parametrize("names", ["rr_path", "joliet_path"])
def test_both_files_are_there_by_the_names_that_cloud_init_opens(tmp_path: Path, keys: LabKeys, names: str) -> None:
    path = tmp_path / "seed.iso"
    write_seed(path, keys, user="debian", instance="vmlab-1")
    assert _read(path, "user-data", **{names: ""}).startswith("#cloud-config\n{")
    meta = json.loads(_read(path, "meta-data", **{names: ""}))
    assert meta == {"instance-id": "vmlab-1", "local-hostname": "vmlab"}


def test_the_volume_is_called_cidata(tmp_path: Path, keys: LabKeys) -> None:
    path = tmp_path / "seed.iso"
    write_seed(path, keys, user="debian", instance="vmlab-1")
    # ECMA-119, 8.4.7: bytes 41 to 72 of the volume descriptor in sector 16.
    assert path.read_bytes()[16 * 2048 + 40 : 16 * 2048 + 72].rstrip() == b"cidata"


def test_the_guest_gets_the_labs_public_user_key_and_the_whole_host_key(tmp_path: Path, keys: LabKeys) -> None:
    path = tmp_path / "seed.iso"
    write_seed(path, keys, user="debian", instance="vmlab-1")
    config = json.loads(_read(path, "user-data", rr_path="").partition("\n")[2])
    assert config["user"] == {"name": "debian"}
    assert config["ssh_authorized_keys"] == [keys.public(keys.user)]
    assert config["ssh_keys"]["ed25519_private"] == keys.host.read_text()
    assert config["ssh_keys"]["ed25519_public"] == keys.public(keys.host)
    assert keys.user.read_text() not in path.read_bytes().decode(errors="replace")
