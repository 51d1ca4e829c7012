# SPDX-License-Identifier: MIT
"""The seed: a disk with cloud-init's configuration for the first boot.

A file system with the label `cidata` works on every distribution; the same data through SMBIOS does not
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
    """Write an ISO 9660 file with the keys of one boot. `instance` must be new for each guest: cloud-init runs once per
    instance. It holds the guest's private host key, so `path` must be readable by this user only."""
    files = {"user-data": user_data(keys, user), "meta-data": meta_data(instance)}
    iso = pycdlib.PyCdlib()
    # Level 3 names are upper case and short; Rock Ridge and Joliet store the real ones.
    iso.new(interchange_level=3, vol_ident=_LABEL, rock_ridge="1.09", joliet=3)
    for name, text in files.items():
        data = text.encode()
        short = name.replace("-", "").upper()
        iso.add_fp(io.BytesIO(data), len(data), f"/{short}.;1", rr_name=name, joliet_path=f"/{name}")
    iso.write(str(path))
    iso.close()


def user_data(keys: LabKeys, user: str) -> str:
    """Return cloud-init's user data: the default user's name and key, and the guest's host key, without upgrades.

    Written as JSON, which is valid YAML and needs no further library. Reads the keys, otherwise pure.
    """
    config: Mapping[str, Any] = {
        # Only the name is set, so that the row works even after its publisher renamed the user
        # (normalize_users_groups() in cloud-init's distros/ug_util.py; a string in place of a table is deprecated).
        "user": {"name": user},
        "ssh_authorized_keys": [keys.public(keys.user)],
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": keys.host.read_text(), "ed25519_public": keys.public(keys.host)},
        "ssh_pwauth": False,
        # Generating a locale takes a minute under emulation, and fails if the image lacks its sources.
        "locale": False,
        "package_update": False,
        "package_upgrade": False,
        "package_reboot_if_required": False,
    }
    return f"#cloud-config\n{json.dumps(config, indent=1)}\n"


def meta_data(instance: str) -> str:
    return json.dumps({"instance-id": instance, "local-hostname": "vmlab"}) + "\n"
