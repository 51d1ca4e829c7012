# SPDX-License-Identifier: MIT
"""Fixtures of the cloud tests: disks built once, a publisher that serves them, and runs as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from publisher import Publisher, checksum_list

from cloud.disk import Release, make_disk
from vmlab.lab.lab import Lab

ROOT = Path(__file__).parents[2]
_RUN_TIMEOUT_S = 5400


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A finished vmlab or pytest run."""

    status: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A publisher on loopback, a catalogue of the images it serves, and a separate store."""

    publisher: Publisher
    catalogue: Path
    store: Path
    report: Path
    row: str
    image: str
    file: str
    """Path of the disk on the publisher."""

    def run(self, program: str, *words: str) -> Finished:
        """Run `python -m vmlab …` or `python -m pytest …` with this catalogue and store."""
        options = {"catalogue": self.catalogue, "store": self.store, "report": self.report}
        first, rest = words[:1], words[1:]
        given = [f"--vmlab-{name}={value}" for name, value in options.items()]
        done = subprocess.run(
            [sys.executable, "-m", program, *first, *given, *rest],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_RUN_TIMEOUT_S,
            check=False,
        )
        print(done.stdout)
        return Finished(status=done.returncode, output=done.stdout)


class Disks:
    """The publisher's disks, built on first use and kept in the lab's store."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def of(self, release: Release) -> Path:
        """The disk of a release. Cost: minutes the first time."""

        def build(work: Path) -> Mapping[str, Any]:
            make_disk(release, work, self._lab.store, self._lab.settings, progress=print)
            return {"name": f"disk of {release.codename}"}

        return self._lab.store.obtain("test-disk", release.inputs, build).file("disk.qcow2")


@pytest.fixture(scope="session")
def disks(vmlab_lab: Lab) -> Disks:
    return Disks(vmlab_lab)


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with Publisher() as serving:
        yield serving


def offer(
    publisher: Publisher,
    disk: Path,
    directory: Path,
    *,
    release: Release,
    firmware: str,
    line: str,
    kernel: str,
) -> Site:
    """Make the publisher serve a disk and its checksum list, and write a catalogue with both."""
    suite = f"loopback-{release.codename}"
    name = f"{suite}-{firmware}.qcow2"
    image, row = f"{suite}-{firmware}", f"{suite}-{line}"
    url = publisher.offer(f"/cloud/{name}", disk)
    sums = publisher.offer("/cloud/SHA512SUMS", checksum_list({name: disk}, algorithm="sha512"))
    targets = directory / "catalogue" / "targets"
    targets.mkdir(parents=True)
    (targets / "loopback.toml").write_text(
        f"""\
[[suite]]
id = "{suite}"
distribution = "debian"
codename = "{release.codename}"
kernel_parameters = ["unknown_nmi_panic"]

[[image]]
id = "{image}"
urls = ["{url}"]
checksums = ["{sums}"]
algorithm = "sha512"
firmware = "{firmware}"
user = "debian"
package_manager = "apt"

[[target]]
id = "{row}"
suite = "{suite}"
line = "{line}"
image = "{image}"
kernel = "{kernel}"
headers = "linux-headers-{{release}}"
"""
    )
    return Site(
        publisher=publisher,
        catalogue=directory / "catalogue",
        store=directory / "store",
        report=directory / "report",
        row=row,
        image=image,
        file=f"/cloud/{name}",
    )
