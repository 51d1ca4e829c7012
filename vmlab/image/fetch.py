# SPDX-License-Identifier: MIT
"""A publisher's cloud image, fetched once, verified, and sealed in the store."""

from __future__ import annotations

from collections.abc import Callable

from vmlab.cloud_image import CloudImage
from vmlab.image.bootstrap import Progress
from vmlab.image.lock import ImageLock
from vmlab.store import Store, StoredObject


def fetch_cloud_image(
    image: CloudImage,
    store: Store,
    *,
    lock: ImageLock,
    progress: Progress = lambda _: None,
    notice: Callable[[str], None] = lambda _: None,
) -> StoredObject:
    """The image's file as it is locked, from the store or fetched now: kind `cloud-image`, file `disk`."""
    raise NotImplementedError
