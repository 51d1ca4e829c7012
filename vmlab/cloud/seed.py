# SPDX-License-Identifier: MIT
"""The seed: what a cloud image's cloud-init is told at its first boot, as a disk that it looks for.

A file system with the label `cidata` works on every distribution; the same through SMBIOS does not
(cloud-init, reference/datasources/nocloud).
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pycdlib

from vmlab.image.keys import LabKeys

_LABEL = "cidata"


def write_seed(path: Path, keys: LabKeys, *, user: str, instance: str) -> None:
    """An ISO 9660 file with the lab's keys in it; `instance` is new for each guest, since cloud-init does its work
    once an instance. It holds the private half of the guests' host key, so keep it where only this user reads."""
    files = {"user-data": user_data(keys, user), "meta-data": meta_data(instance)}
    iso = pycdlib.PyCdlib()
    # Level 3 names are upper case and short; Rock Ridge and Joliet have the real ones.
    iso.new(interchange_level=3, vol_ident=_LABEL, rock_ridge="1.09", joliet=3)
    for name, text in files.items():
        data = text.encode()
        short = name.replace("-", "").upper()
        iso.add_fp(io.BytesIO(data), len(data), f"/{short}.;1", rr_name=name, joliet_path=f"/{name}")
    iso.write(str(path))
    iso.close()


def user_data(keys: LabKeys, user: str) -> str:
    """The default user is called as the row says and gets the lab's key, the guest the host key that the lab knows;
    nothing is upgraded. Pure but for reading the keys.

    JSON is YAML, and needs no library more.
    """
    config: Mapping[str, Any] = {
        # All else of it stays the image's. A row whose publisher calls it otherwise by now works all the same
        # (normalize_users_groups() in cloud-init's distros/ug_util.py; a text in place of a table is deprecated).
        "user": {"name": user},
        "ssh_authorized_keys": [keys.public(keys.user)],
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": keys.host.read_text(), "ed25519_public": keys.public(keys.host)},
        "ssh_pwauth": False,
        # To make one takes an emulated processor a minute, and fails where the image lacks what it is made of.
        "locale": False,
        "package_update": False,
        "package_upgrade": False,
        "package_reboot_if_required": False,
    }
    return f"#cloud-config\n{json.dumps(config, indent=1)}\n"


def meta_data(instance: str) -> str:
    return json.dumps({"instance-id": instance, "local-hostname": "vmlab"}) + "\n"
