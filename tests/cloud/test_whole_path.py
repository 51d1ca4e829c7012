# SPDX-License-Identifier: MIT
"""The path from a publisher to passing fibdrv tests: fetch with faults, verify, provision, seal, fork."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from publisher import Publisher, cut, redirect, status

from cloud.conftest import Disks, offer
from cloud.disk import BOOKWORM, BULLSEYE, Release
from vmlab.store.store import Store, StoredObject

pytestmark = pytest.mark.slow

_MIB = 2**20
_TESTS = ("tests/fibdrv/test_correctness.py", "tests/fibdrv/test_lifecycle.py", "-rs")


def _the(store: Store, kind: str) -> StoredObject:
    (found,) = (item for item in store.objects() if item.kind == kind)
    return found


@pytest.mark.parametrize(
    ("release", "firmware", "line", "kernel"),
    [
        pytest.param(BULLSEYE, "bios", "5.10", "", id="bios"),
        pytest.param(BOOKWORM, "uefi", "6.1", "linux-image-cloud-amd64", id="uefi"),
    ],
)
def test_from_fetch_to_a_green_run(
    disks: Disks, publisher: Publisher, tmp_path: Path, release: Release, firmware: str, line: str, kernel: str
) -> None:
    """BIOS with an image that already has the target's kernel; UEFI with one that installs it and reboots."""
    disk = disks.of(release)
    site = offer(publisher, disk, tmp_path, release=release, firmware=firmware, line=line, kernel=kernel)

    # Install the row's host requirements, for example UEFI firmware.
    assert site.run("vmlab", "setup", f"--vmlab-target={site.row}").status == 0
    locked = site.run("vmlab", "images", "lock", site.image)
    assert locked.status == 0
    assert "locked" in locked.output

    # Redirected, then busy, then interrupted twice: the downloaded file is complete all the same.
    publisher.offer("/elsewhere.qcow2", disk)
    publisher.order(
        site.file, status(503, retry_after="1"), cut(40 * _MIB), cut(300 * _MIB), redirect("/elsewhere.qcow2")
    )
    publisher.order("/elsewhere.qcow2", cut(100 * _MIB))
    run = site.run("pytest", *_TESTS, f"--vmlab-target={site.row}", f"--junitxml={tmp_path / 'junit.xml'}")
    assert run.status == 0
    assert any(asked.range for asked in publisher.asked_for(site.file))

    store = Store(site.store)
    image = _the(store, "image")
    results = json.loads((site.report / "results.json").read_text())
    (row,) = results["targets"]
    assert {test["outcome"] for test in row["tests"]} == {"passed"}
    provenance = row["facts"]["provenance"]
    assert provenance["release"] == image.facts["release"]
    assert provenance["release"].startswith(f"{line}.")
    assert provenance["cloud_image"].startswith(f"{site.image}: {Path(site.file).name}, sha512 ")
    assert provenance["kernel_package"]
    assert provenance["compiler_match"] in ("same", "other name")
    assert row["facts"]["forks"] > 0
    if kernel:
        assert provenance["release"].endswith("-cloud-amd64")
        assert "rebooting from " in run.output

    # The provisioning log keeps the guest's output, including cloud-init's and the package manager's.
    log = image.file("provisioning.log").read_text()
    assert "linux-headers-" in log
    assert "Linux version" in image.file("provisioning.console").read_text()

    # The same row gives the same image from the store, without the publisher.
    publisher.close()
    again = site.run("pytest", *_TESTS[:1], "-q", f"--vmlab-target={site.row}", "-k", "f92")
    assert again.status == 0
    assert " passed" in again.output
    assert "Traceback" not in again.output
    assert _the(store, "image").digest == image.digest
