# SPDX-License-Identifier: MIT
"""Faults during a first boot in real guests, each with its error class and message."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from publisher import Publisher

from cloud.conftest import Disks, offer
from cloud.disk import BOOKWORM
from vmlab.catalogue.cloud_image import CloudKernel
from vmlab.cloud import provision, seed
from vmlab.cloud.install import Site, install
from vmlab.cloud.lock import LockedImage
from vmlab.errors import AssetError
from vmlab.image.keys import LabKeys
from vmlab.image.recipe import write_overlay
from vmlab.lab.lab import Lab
from vmlab.settings import load_settings

pytestmark = pytest.mark.slow

_OUT = "/dev/null"
_STAY = """\
id=$(findmnt --noheadings --output UUID /)
stay="gnulinux-advanced-$id>gnulinux-$(uname -r)-advanced-$id"
echo "GRUB_DEFAULT='$stay'" | sudo tee -a /etc/default/grub
"""
"""Make GRUB boot the running kernel again, whichever kernels are installed later. The entry is selected by the id that
10_linux builds from the file system's UUID: its position in the menu depends on all installed versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """First boots of one disk, with a seed that the test sets."""

    lab: Lab
    work: provision.Work
    directory: Path
    notices: list[str]

    @contextlib.contextmanager
    def boot(self) -> Iterator[Site]:
        with provision.first_guest(
            self.lab.context, self.work, self.directory / "overlay.qcow2", self.directory
        ) as site:
            yield site


@pytest.fixture
def bench(disks: Disks, publisher: Publisher, tmp_path: Path, vmlab_lab: Lab) -> Bench:
    disk = disks.of(BOOKWORM)
    kernel = "linux-image-cloud-amd64"
    there = offer(publisher, disk, tmp_path, release=BOOKWORM, firmware="bios", line="6.1", kernel=kernel)
    given = {"catalogue": there.catalogue, "store": there.store, "report": there.report}
    accel = str(vmlab_lab.settings.accel)
    words = {name: str(path) for name, path in given.items()} | {"accel": accel}
    notices: list[str] = []
    lab = Lab(load_settings(words, directory=tmp_path), progress=print, notice=notices.append)
    (target,) = lab.matrix.select(there.row)
    assert target.cloud is not None
    image = target.cloud.image
    row = LockedImage(
        id=image.id, name=Path(there.file).name, size_bytes=1, algorithm=image.algorithm, digest="0" * 128
    )
    work = provision.begin(lab.context, lab.accelerators, target, target.cloud, row, disk)
    return Bench(lab=lab, work=work, directory=tmp_path, notices=notices)


Seed = Callable[[Mapping[str, Any]], None]


@pytest.fixture
def seeded(monkeypatch: pytest.MonkeyPatch) -> Seed:
    """Return a function that adds keys to the seed's user data."""
    real = seed.user_data

    def say(more: Mapping[str, Any]) -> None:
        def user_data(keys: LabKeys, user: str) -> str:
            config = json.loads(real(keys, user).partition("\n")[2]) | more
            return f"#cloud-config\n{json.dumps(config)}\n"

        monkeypatch.setattr(seed, "user_data", user_data)

    return say


def _await(site: Site, *, patience: float = 1.0) -> None:
    limits = site.limits
    site.guest.await_cloud_init(timeout_s=limits.first_boot_s * patience, command_s=limits.command_s)


def test_cloud_init_that_fails_is_told_in_its_words(bench: Bench, seeded: Seed) -> None:
    seeded({"bootcmd": [["sh", "-c", "echo the disk is upside down; exit 3"]]})
    with bench.boot() as site, pytest.raises(AssetError, match=r"cloud-init failed: .*bootcmd") as caught:
        _await(site)
    assert "the disk is upside down" in caught.value.detail


def test_cloud_init_that_hangs_is_told_with_its_stage(bench: Bench, seeded: Seed) -> None:
    seeded({"runcmd": [["sleep", "100000"]]})
    with bench.boot() as site:
        site.guest.run("true", timeout_s=site.limits.command_s, what="a look")
        # The last stage begins shortly after SSH answers.
        with pytest.raises(AssetError, match="its stage 'modules-final' is still running"):
            _await(site, patience=0.1)


def test_a_guest_that_reboots_on_its_own_is_waited_for_and_said(bench: Bench, seeded: Seed) -> None:
    seeded({"runcmd": ["reboot; sleep 1000"]})
    with bench.boot() as site:
        _await(site)
        site.guest.succeed("true", timeout_s=site.limits.command_s, what="a look")
    assert bench.notices == [f"{site.target.id}: the guest rebooted on its own while cloud-init ran"]


def test_what_an_installation_can_meet(bench: Bench) -> None:
    """Three faults in one guest: a missing package, a different kernel after the reboot, unreachable archives."""
    script, archive = bench.directory / "guest.sh", bench.directory / "settlement.tar"
    script.write_text(bench.work.recipe.script)
    write_overlay(archive, bench.work.recipe.overlay)

    def try_to(site: Site, cloud: CloudKernel) -> None:
        install(replace(site, cloud=cloud), scripts=[script], archive=archive, device=_OUT)

    with bench.boot() as site:
        _await(site)
        limits = site.limits
        gone = replace(site.cloud, kernel="linux-image-9.9-cloud-amd64")
        with pytest.raises(
            AssetError, match="a package is missing from its archives: Unable to locate package linux-image-9"
        ) as caught:
            try_to(site, gone)
        assert "the kernel line was removed" in caught.value.hint

        site.guest.succeed(_STAY, timeout_s=limits.command_s, what="a preference")
        with pytest.raises(AssetError, match=r"rebooted into '6\.1\S+', expected '6\.1\.\S+-cloud-amd64'"):
            try_to(site, site.cloud)

        away = "s,http[s]*://[^/]*,http://127.0.0.1:9,"
        sources = f"sudo sed -i '{away}' /etc/apt/sources.list"
        site.guest.succeed(sources, timeout_s=limits.command_s, what="a mirror that is gone")
        with pytest.raises(AssetError, match=r"its package archives are unreachable: .*127\.0\.0\.1") as caught:
            try_to(site, site.cloud)
        assert "network" in caught.value.hint
