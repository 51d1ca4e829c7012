# SPDX-License-Identifier: MIT
"""Limits of cloud images: the cost of verification relative to the checksum, and no network use for a cached image."""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

from publisher import Publisher, checksum_list
from rows import Limit, Measured

from vmlab.catalogue.cloud_image import Algorithm, CloudImage, Firmware, PackageManager
from vmlab.cloud.download import fetch_cloud_image
from vmlab.cloud.http import Web
from vmlab.cloud.lock import ImageLock, read_lock, write_lock
from vmlab.cloud.publisher import look
from vmlab.cloud.qcow2 import read_qcow2
from vmlab.decode import unstructure
from vmlab.store.store import Store

_MB = 1_000_000
_IMAGE_MB = 500
_PAIRS = 5
_NAME = "disk.qcow2"


def _disk(directory: Path, megabytes: int) -> Path:
    """A qcow2 of that size: an empty one's header, followed by random bytes."""
    path = directory / _NAME
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "2G"], check=True)
    with path.open("ab") as stream:
        while (left := megabytes * _MB - stream.tell()) > 0:
            stream.write(os.urandom(min(left, 4 * 2**20)))
    return path


def _image(publisher: Publisher, algorithm: Algorithm) -> CloudImage:
    return CloudImage(
        id="bench-amd64",
        urls=(publisher.url(f"/{_NAME}"),),
        checksums=(publisher.url("/SUMS"),),
        algorithm=algorithm,
        firmware=Firmware.BIOS,
        user="debian",
        package_manager=PackageManager.APT,
    )


def _locked(directory: Path, publisher: Publisher, disk: Path, algorithm: Algorithm) -> tuple[CloudImage, ImageLock]:
    publisher.offer(f"/{_NAME}", disk)
    publisher.offer("/SUMS", checksum_list({_NAME: disk}, algorithm=algorithm))
    image = _image(publisher, algorithm)
    lock = ImageLock(path=directory / "lock.toml").with_row(look(image, Web()))
    write_lock(lock)
    return image, lock


def _seconds_of_sum(disk: Path, algorithm: Algorithm) -> float:
    started = time.perf_counter()
    subprocess.run([f"{algorithm}sum", str(disk)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _seconds_of_hashing(disk: Path, algorithm: Algorithm) -> float:
    started = time.perf_counter()
    with disk.open("rb") as stream:
        hashlib.file_digest(stream, algorithm)
    return time.perf_counter() - started


def _seconds_of_verifying(disk: Path, lock: ImageLock, image: CloudImage) -> float:
    """Seconds for a fetch's checks of downloaded bytes: read the lock, compare size and digest, read the header."""
    started = time.perf_counter()
    read_lock(lock.path).row(image).require(disk, what=disk.name)
    read_qcow2(disk, what=disk.name)
    return time.perf_counter() - started


def verifying() -> Measured:
    """Verification and lock check relative to sha256sum or sha512sum of the same file, in turns; the worse ratio."""
    ratios, conditions = [], {"image": f"{_IMAGE_MB} MB", "pairs": str(_PAIRS)}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name, Publisher() as publisher:
        disk = _disk(Path(name), _IMAGE_MB)
        for algorithm in Algorithm:
            image, lock = _locked(Path(name), publisher, disk, algorithm)
            sums, ours, bare = [], [], []
            for _ in range(_PAIRS):
                sums.append(_seconds_of_sum(disk, algorithm))
                ours.append(_seconds_of_verifying(disk, lock, image))
                bare.append(_seconds_of_hashing(disk, algorithm))
            ratios.append(min(ours) / min(sums))
            conditions[str(algorithm)] = (
                f"fastest {min(ours):.2f} s beside {min(sums):.2f} s, "
                f"median {statistics.median(ours):.2f} s beside {statistics.median(sums):.2f} s; "
                f"{min(ours) / min(bare):.2f} of Python's bare hash"
            )
    return Measured(value=max(ratios), conditions=conditions)


_AGAIN = """
    import json, sys
    from pathlib import Path
    from vmlab.decode import structure
    from vmlab.catalogue.cloud_image import CloudImage
    from vmlab.cloud.download import fetch_cloud_image
    from vmlab.cloud.lock import read_lock
    from vmlab.store.store import Store
    image = structure(json.loads(sys.argv[1]), CloudImage, where="image")
    stored = fetch_cloud_image(image, Store(Path(sys.argv[2])), lock=read_lock(Path(sys.argv[3])))
    print(json.dumps({"new": stored.is_new}))
"""


def cached() -> Measured:
    """Fetch an image, close its publisher, and fetch again without a network: the number of connections.

    The second run is a process in a new network namespace, whose only interface is a loopback that is down.
    """
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        directory = Path(name)
        with Publisher() as publisher:
            image, lock = _locked(directory, publisher, _disk(directory, 20), Algorithm.SHA256)
            fetch_cloud_image(image, Store(directory / "store"), lock=lock)
            publisher.asked.clear()
            alone = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
            script = [sys.executable, "-c", textwrap.dedent(_AGAIN)]
            arguments = [json.dumps(unstructure(image)), str(directory / "store"), str(lock.path)]
            started = time.perf_counter()
            done = subprocess.run([*alone, *script, *arguments], capture_output=True, text=True, check=False)
            took = time.perf_counter() - started
            connections = len(publisher.asked)
    if done.returncode != 0:
        raise RuntimeError(f"without a network: {done.stderr[-500:]}")
    said = json.loads(done.stdout)
    if said["new"]:
        raise RuntimeError("the image was made again")
    conditions = {"second run": f"{took:.1f} s, with a new interpreter"}
    return Measured(value=connections, conditions=conditions)


LIMITS = (
    Limit(name="fetch.verifying", limit=1.2, unit="of the checksum program's time", measure=verifying),
    Limit(name="fetch.cached", limit=0, unit="connections", measure=cached),
)
