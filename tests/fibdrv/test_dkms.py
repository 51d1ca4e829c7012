# SPDX-License-Identifier: MIT
"""Installing, upgrading and removing the driver with DKMS in a guest: the distribution's DKMS package."""

from __future__ import annotations

import re

import pytest

from vmlab.errors import AssetError
from vmlab.guest.guest import Guest
from vmlab.lab.lab import Lab
from vmlab.module.build_root import GuestPlace

from .probe import DEVICE
from .traces import left_behind

_NEXT = "9.9.9"
_LONG_S = 1800.0
"""The guest compiles the module twice, at a minute or more each under TCG."""


def _install_dkms(guest: Guest) -> None:
    command = (
        "export DEBIAN_FRONTEND=noninteractive; apt-get -q -o Acquire::Check-Valid-Until=false update"
        " && apt-get -q -y --no-install-recommends install dkms"
    )
    done = guest.root(f"{{ {command}; }} 2>&1", timeout_s=_LONG_S)
    if not done.ok:
        raise AssetError("DKMS cannot be installed in the guest", detail=done.stdout[-2000:])


def _put_sources(guest: Guest, lab: Lab) -> str:
    """Copy a user's checkout into the guest and return its path."""
    GuestPlace(guest).put_tree(lab.source, "checkout")
    return "/build/checkout"


def _installed(guest: Guest, version: str) -> bool:
    release = guest.succeed("uname -r").strip()
    said = guest.as_root("dkms status fibdrv")
    # DKMS 2 prints "fibdrv, 1.0.0, RELEASE, x86_64: installed", DKMS 3 and later "fibdrv/1.0.0, …".
    return re.search(rf"fibdrv[,/] ?{re.escape(version)}, {re.escape(release)}, \w+: installed", said) is not None


def _require_working(guest: Guest, version: str) -> None:
    guest.as_root("modprobe fibdrv")
    assert guest.read("/sys/module/fibdrv/version").strip() == version
    assert guest.succeed(f"head -n 7 {DEVICE}").split() == ["0", "1", "1", "2", "3", "5", "8"]
    guest.as_root("modprobe -r fibdrv")


@pytest.mark.network
@pytest.mark.slow
def test_dkms_installs_upgrades_and_removes_it(guest: Guest, vmlab_lab: Lab) -> None:
    _install_dkms(guest)
    checkout = _put_sources(guest, vmlab_lab)
    version = re.findall(r'^PACKAGE_VERSION="(.*)"$', guest.read(f"{checkout}/dkms.conf"), re.MULTILINE)[0]

    guest.as_root(f"make -C {checkout} dkms 2>&1", timeout_s=_LONG_S)
    assert _installed(guest, version)
    _require_working(guest, version)

    # Install the next release: it replaces the old one. The version is escaped, since 1.0.0 as a pattern also matches
    # max_n's 10000000.
    guest.as_root(f"sed -i 's/{re.escape(version)}/{_NEXT}/' {checkout}/dkms.conf {checkout}/fibdrv_main.c")
    guest.as_root(f"make -C {checkout} dkms 2>&1", timeout_s=_LONG_S)
    assert _installed(guest, _NEXT)
    assert not _installed(guest, version)
    _require_working(guest, _NEXT)

    for gone in (version, _NEXT):
        guest.as_root(f"dkms remove fibdrv/{gone} --all 2>&1", timeout_s=_LONG_S)
    assert guest.as_root("dkms status fibdrv") == ""
    assert guest.as_root("find /lib/modules /var/lib/dkms -name 'fibdrv.ko*'") == ""
    assert "not found" in guest.fail("sudo modprobe fibdrv").stderr
    assert left_behind(guest) == set()
