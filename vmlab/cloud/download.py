# SPDX-License-Identifier: MIT
"""Download of a publisher's cloud image: fetched once, verified, and sealed in the store.

The file becomes visible once it is complete and matches the lock. Until then it is a part, outside the store's objects,
which the next attempt completes, in this process or another.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vmlab.catalogue.cloud_image import CloudImage
from vmlab.cloud.http import NOT_SATISFIABLE, PARTIAL, Answer, Web, refuse_page
from vmlab.cloud.http_fault import WebFault, host_of
from vmlab.cloud.lock import ImageLock, LockedImage
from vmlab.cloud.partial import Part
from vmlab.cloud.publisher import Offer, all_failed, find_offer
from vmlab.cloud.qcow2 import read_qcow2
from vmlab.context import Say, silent
from vmlab.errors import AssetError
from vmlab.store.store import Store, StoredObject, digest_of
from vmlab.system.naming import told_of

KIND = "cloud-image"
DISK = "disk"
"""Name of the file in the object."""

_MB = 1_000_000
_TELL_EVERY_S = 0.2
_PROGRESS = 0.01
"""Fraction of the file that an answer must deliver to reset the count of failures."""


def fetch_cloud_image(
    image: CloudImage,
    store: Store,
    *,
    lock: ImageLock,
    progress: Say = silent,
    web: Web | None = None,
) -> StoredObject:
    """Return an image's locked file, from the store or fetched now: an object of kind `cloud-image`, file `disk`.

    A stored file needs no connection. Otherwise this reads the publisher's checksum list, fetches the file (300 to
    700 MB, less an existing part), compares it with list and lock, and reads its header. One process fetches, the
    others wait.

    Raises `AssetError` when the image is not locked, no address provides the file, or the file differs from the lock;
    `HostError` when there is not enough space.
    """
    row = lock.row(image)
    inputs = {"algorithm": str(row.algorithm), "digest": row.digest}

    def build(work: Path) -> Mapping[str, Any]:
        own = Web() if web is None else contextlib.nullcontext(web)
        with Part(store, f"{KIND}-{digest_of(inputs)}") as part, own as asked:
            url = _Fetching(image, row, part, asked, progress).from_anywhere()
            disk = read_qcow2(part.path, what=f"{image.id}: {row.name}")
            part.move_to(work / DISK)
        return {"name": image.id, "file": row.name, "from": url, "disk_bytes": disk.disk_bytes}

    def waiting() -> None:
        progress(f"{image.id}: another run is fetching this image, waiting for it")

    return store.obtain(KIND, inputs, build, waiting=waiting)


class _Fetching:
    """Download of one image."""

    def __init__(self, image: CloudImage, row: LockedImage, part: Part, web: Web, progress: Say) -> None:
        self._image = image
        self._row = row
        self._part = part
        self._web = web
        self._progress = progress

    def from_anywhere(self) -> str:
        """Fetch and verify the file from the first address that provides it; returns that address."""
        faults: list[AssetError] = []
        for place in range(len(self._image.urls)):
            try:
                return self._from(place)
            except WebFault as fault:
                faults.append(AssetError(fault.message, hint=fault.hint))
            except AssetError as error:
                faults.append(error)
        raise all_failed(self._image, faults)

    def _from(self, place: int) -> str:
        self._progress(f"{self._image.id}: reading its publisher's checksums")
        offer = find_offer(self._image, place, self._web, preferred=self._row.name)
        if offer.digest != self._row.digest:
            raise AssetError(
                f"the publisher's file differs from the lock: {offer.name} has {self._row.algorithm} "
                f"{offer.digest}, the lock has {self._row.name} with {self._row.digest}",
                hint=f"`vmlab images lock {self._image.id}` locks the new file",
            )
        self._part.require_room(self._row.size_bytes, what=offer.name)
        self._download(offer)
        fault = self._difference(offer)
        if fault is not None and self._part.is_patched:
            # The answers may be of different files, and a power cut may have lost written data.
            self._progress(f"{self._image.id}: the partial file does not match; fetching all of it")
            self._part.restart()
            self._download(offer)
            fault = self._difference(offer)
        if fault is not None:
            self._part.restart()
            raise fault
        return offer.url

    def _difference(self, offer: Offer) -> AssetError | None:
        self._progress(f"{self._image.id}: verifying {offer.name}")
        try:
            self._row.require(self._part.path, what=f"{offer.name} from {urlsplit(offer.url).hostname}")
        except AssetError as error:
            return error
        return None

    def _download(self, offer: Offer) -> None:
        """Complete the part, in as many requests as needed. Raises `WebFault` on failure."""
        failures = 0
        knows_ranges = True
        # Compared with the most so far: a server that starts again each time makes no progress.
        most = self._part.size
        while self._part.size != self._row.size_bytes:
            try:
                knows_ranges = self._ask(offer, knows_ranges)
            except WebFault as fault:
                gained = self._part.size - most
                most = max(most, self._part.size)
                failures = 1 if gained >= self._row.size_bytes * _PROGRESS else failures + 1
                self._progress(told_of(self._image.id, f"retrying {offer.name}", fault.message))
                self._web.wait(failures, fault)

    def _ask(self, offer: Offer, knows_ranges: bool) -> bool:
        """Send one request for the missing bytes; returns False if the server does not support ranges."""
        part = self._part
        if not knows_ranges:
            part.restart()
        start = part.size
        headers = {}
        if start:
            headers["Range"] = f"bytes={start}-"
            tag = part.validator(offer.url)
            if tag:
                headers["If-Range"] = tag
        with self._web.ask(offer.url, headers=headers) as answer:
            refuse_page(answer, offer.url)
            if start and answer.status == NOT_SATISFIABLE:
                return False
            if answer.status == PARTIAL and answer.range_start != start:
                if not start:
                    raise WebFault(f"{host_of(answer.url)} sends another range of {offer.name} than asked", passes=True)
                return False
            self._require_size(offer, answer)
            if answer.status == PARTIAL:
                part.is_patched = True
            elif start:
                # The whole file: the server has no ranges, or the file has changed.
                part.restart()
            if not part.size:
                part.remember(offer.url, answer.headers.get("ETag", ""))
            self._pour(offer, answer)
        return True

    def _require_size(self, offer: Offer, answer: Answer) -> None:
        total = answer.range_total if answer.status == PARTIAL else answer.length
        if total is not None and total != self._row.size_bytes:
            raise WebFault(
                f"{urlsplit(answer.url).hostname} offers {offer.name} with {total} bytes, "
                f"the lock has {self._row.size_bytes}",
                passes=False,
                hint=self._row.how_to_lock,
            )

    def _pour(self, offer: Offer, answer: Answer) -> None:
        began, first, told = time.monotonic(), self._part.size, 0.0
        total = self._row.size_bytes
        for chunk in answer.chunks:
            self._part.append(chunk)
            size = self._part.size
            if size > total:
                self._part.restart()
                raise WebFault(f"{offer.url} is larger than the {total} bytes in the lock", passes=False)
            now = time.monotonic()
            if now - told >= _TELL_EVERY_S or size == total:
                told = now
                self._progress(f"{self._image.id}: fetching {offer.name}: {_how_far(size, total, first, now - began)}")
        if self._part.size < total:
            raise WebFault(
                f"{urlsplit(answer.url).hostname} ended after {self._part.size} of {total} bytes", passes=True
            )


def _how_far(size: int, total: int, first: int, seconds: float) -> str:
    rate = (size - first) / seconds if seconds > 0 else 0.0
    left = f", {(total - size) / rate:.0f} s left" if rate > 0 and size < total else ""
    return f"{size / _MB:.0f} of {total / _MB:.0f} MB, {rate / _MB:.1f} MB/s{left}"
