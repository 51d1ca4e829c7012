# SPDX-License-Identifier: MIT
"""Shared by the download tests: a small qcow2, a publisher that offers it, and HTTP without pauses."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from publisher import Publisher, checksum_list

from vmlab.catalogue.cloud_image import Algorithm, CloudImage, Firmware, PackageManager
from vmlab.cloud.download import fetch_cloud_image
from vmlab.cloud.http import Web
from vmlab.cloud.lock import ImageLock
from vmlab.cloud.publisher import look
from vmlab.errors import AssetError, VmlabError
from vmlab.store.store import Store, StoredObject

NAME = "debian-12-genericcloud-amd64.qcow2"
PATH = f"/images/{NAME}"
LIST = "/images/SHA256SUMS"


def qcow2(
    *,
    size: int = 200_000,
    seed: int = 1,
    version: int = 3,
    backing_offset: int = 0,
    disk_bytes: int = 2 * 2**30,
    cluster_bits: int = 16,
    encryption: int = 0,
    features: int = 0,
    extensions: bytes = b"",
) -> bytes:
    """A file with a qcow2 header followed by random bytes; docs/interop/qcow2.txt in QEMU."""
    head = struct.pack(
        ">4sIQIIQIIQQIIQ",
        b"QFI\xfb",
        version,
        backing_offset,
        0,
        cluster_bits,
        disk_bytes,
        encryption,
        1,
        0x30000,
        0x10000,
        1,
        0,
        0,
    )
    if version == 3:
        head += struct.pack(">QQQII", features, 0, 0, 4, 104)
    head += extensions + b"\0" * 8
    return head + random.Random(seed).randbytes(size - len(head))


@dataclass(slots=True)
class Waits:
    """A pause that takes no time and records its length."""

    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@dataclass(slots=True)
class Offered:
    """An image that a publisher offers, its lock, and a store."""

    publisher: Publisher
    image: CloudImage
    lock: ImageLock
    store: Store
    content: bytes
    waits: Waits
    progress: list[str] = field(default_factory=list)

    def fetch(self) -> StoredObject:
        web = Web(pause=self.waits, silence_s=5)
        return fetch_cloud_image(self.image, self.store, lock=self.lock, progress=self.progress.append, web=web)

    def offer(self, content: bytes, *, listed: bytes | None = None) -> None:
        """Offer another file; `listed` is the content that the checksum list describes, if different."""
        self.publisher.offer(PATH, content)
        self.publisher.offer(LIST, checksum_list({NAME: content if listed is None else listed}))

    def relock(self) -> None:
        self.lock = self.lock.with_row(look(self.image, Web(pause=self.waits)))

    @property
    def ranges(self) -> list[str]:
        """Requested ranges in order; an empty string means the whole file."""
        return [asked.range for asked in self.publisher.asked_for(PATH) if asked.method == "GET"]

    @property
    def left(self) -> list[str]:
        """Files in the store, except its locks."""
        kinds = ("objects", "parts", "tmp")
        return sorted(
            str(p.relative_to(self.store.root)) for kind in kinds for p in self.store.root.glob(f"{kind}/*/*")
        )


def image_at(publisher: Publisher, *, algorithm: Algorithm = Algorithm.SHA256) -> CloudImage:
    return CloudImage(
        id="debian12-cloudimg-amd64",
        urls=(publisher.url(PATH),),
        checksums=(publisher.url(LIST),),
        algorithm=algorithm,
        firmware=Firmware.BIOS,
        user="debian",
        package_manager=PackageManager.APT,
    )


def offered(publisher: Publisher, directory: Path, content: bytes | None = None) -> Offered:
    """An offered and locked image; requests made for the lock are forgotten."""
    made = Offered(
        publisher=publisher,
        image=image_at(publisher),
        lock=ImageLock(path=directory / "lock.toml"),
        store=Store(directory / "store"),
        content=qcow2() if content is None else content,
        waits=Waits(),
    )
    made.offer(made.content)
    made.relock()
    publisher.asked.clear()
    return made


def with_mirror(made: Offered, mirror: Publisher) -> None:
    """Add a second address after the first; it offers the same file."""
    mirror.offer(PATH, made.content)
    mirror.offer(LIST, checksum_list({NAME: made.content}))
    made.image = replace(
        made.image,
        urls=(*made.image.urls, mirror.url(PATH)),
        checksums=(*made.image.checksums, mirror.url(LIST)),
    )


def refusal(made: Offered, kind: type[VmlabError] = AssetError) -> str:
    """The one-line error of a fetch; require that the store then has nothing that looks like an image."""
    with pytest.raises(kind) as caught:
        made.fetch()
    line = caught.value.one_line
    assert made.image.id in line
    assert len(str(caught.value).splitlines()) == 1 or caught.value.detail
    assert not [path for path in made.left if not path.startswith("parts/")]
    return line
