# SPDX-License-Identifier: MIT
"""Queries to the publishers of cloud images: lock the files that they offer, or report what changed."""

from __future__ import annotations

from collections.abc import Iterable

from vmlab.catalogue.cloud_image import CloudImage
from vmlab.catalogue.matrix import Matrix
from vmlab.cloud.http import Web
from vmlab.cloud.lock import LockedImage, lock_of, write_lock
from vmlab.cloud.publisher import look
from vmlab.context import Say, silent
from vmlab.errors import AssetError, UsageError
from vmlab.settings import Settings

_ACCEPT = "`vmlab setup --vmlab-target TARGET` installs what this distribution has; --unchecked locks it all the same"


def chosen_images(matrix: Matrix, words: Iterable[str]) -> tuple[CloudImage, ...]:
    """Return the images that `words` name, by image id or by target; without words, all of them.

    Raises `UsageError` for an unknown word, and for targets whose images are made from packages.
    """
    known = {image.id: image for image in matrix.images}
    chosen: dict[str, CloudImage] = {}
    for word in words:
        found = [known[word]] if word in known else [t.cloud.image for t in matrix.select(word) if t.cloud is not None]
        if not found:
            raise UsageError(
                f"{word!r} is made from packages and has no publisher's image to lock",
                hint="`vmlab images refresh` queries the package index",
            )
        chosen.update((image.id, image) for image in found)
    return tuple(chosen.values()) or matrix.images


def lock_images(
    images: Iterable[CloudImage],
    settings: Settings,
    *,
    say: Say,
    web: Web | None = None,
    is_unchecked_accepted: bool = False,
) -> bool:
    """Query the current file of each image and write it into the lock; False if a publisher did not answer.

    A file whose list is signed is refused, and the result is False, if this host cannot check the signature, unless
    `is_unchecked_accepted`. Fetches the publishers' checksum lists, not the images. A row that is not written stays as
    it is. The lock is written after each answer, so an interrupted command loses nothing.
    """
    lock = lock_of(settings)
    is_whole = True
    with web or Web(patience=settings.patience) as asked:
        for image in images:
            signatures: list[str] = []
            unchecked: list[str] = []
            offered = _ask(image, asked, say, notice=signatures.append, unchecked=unchecked.append)
            if offered is not None and unchecked and not is_unchecked_accepted:
                say(f"{'refused':10} {image.id}: {unchecked[0]} ({_ACCEPT})")
                offered = None
            is_whole = is_whole and offered is not None
            if offered is None:
                continue
            known = lock.rows.get(image.id)
            if offered != known:
                # Read again: another process may have locked other images meanwhile.
                write_lock(lock_of(settings).with_row(offered))
            say(f"{'unchanged' if offered == known else 'locked':10} {image.id}: {_words(offered)}")
            say(f"{'':10} {signatures[-1]}")
    return is_whole


def check_images(images: Iterable[CloudImage], settings: Settings, *, say: Say, web: Web | None = None) -> bool:
    """Report the locked images whose file changed at the publisher; False if one changed or gave no answer."""
    lock = lock_of(settings)
    is_still = True
    with web or Web(patience=settings.patience) as asked:
        for image in images:
            known = lock.rows.get(image.id)
            if known is None:
                say(f"{'not locked':10} {image.id}")
                continue
            offered = _ask(image, asked, say)
            if offered == known:
                say(f"{'as locked':10} {image.id}: {_words(known)}")
                continue
            is_still = False
            if offered is not None:
                say(f"{'changed':10} {image.id}: locked: {_words(known)}; offered: {_words(offered)}")
    return is_still


def _ask(image: CloudImage, web: Web, say: Say, *, notice: Say = silent, unchecked: Say = silent) -> LockedImage | None:
    try:
        return look(image, web, notice=notice, unchecked=unchecked)
    except AssetError as error:
        say(f"{'no answer':10} {error.one_line}")
        return None


def _words(row: LockedImage) -> str:
    return f"{row.name}, {row.size_bytes} bytes, {row.algorithm} {row.digest}"
