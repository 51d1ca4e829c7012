# SPDX-License-Identifier: MIT
"""What a publisher offers now: which file a catalogue's row stands for, and its checksum."""

from __future__ import annotations

import fnmatch
import html.parser
import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from vmlab.cloud_image import CloudImage
from vmlab.errors import AssetError
from vmlab.image.checksums import parse_checksums
from vmlab.image.lock import LockedImage
from vmlab.image.web import Web, WebFault


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A file as a publisher's checksum list names it."""

    url: str
    name: str
    digest: str


def look(image: CloudImage, web: Web) -> LockedImage:
    """What an image's publisher offers now, as a row of the lock, by the first of its addresses that answers.

    Two small requests or three; the file itself is not fetched. Raises `AssetError` when no address gives an answer.
    """
    faults: list[AssetError] = []
    for place in range(len(image.urls)):
        try:
            offer = find_offer(image, place, web)
            size = web.size_of(offer.url)
        except WebFault as fault:
            faults.append(AssetError(fault.message, hint=fault.hint))
        except AssetError as error:
            faults.append(error)
        else:
            return LockedImage(
                id=image.id, name=offer.name, size_bytes=size, algorithm=image.algorithm, digest=offer.digest
            )
    raise all_failed(image, faults)


def find_offer(image: CloudImage, place: int, web: Web, *, preferred: str = "") -> Offer:
    """The file that one of an image's addresses stands for: of several the newest, unless the preferred is among them.

    Raises `WebFault` or `AssetError`.
    """
    base, _, pattern = image.urls[place].rpartition("/")
    listed_at = _list_address(image.checksums[place], web)
    names = parse_checksums(web.text(listed_at), image.algorithm, where=listed_at)
    fitting = sorted((name for name in names if "/" not in name and fnmatch.fnmatch(name, pattern)), key=_natural)
    if not fitting:
        there = ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise AssetError(
            f"{listed_at} does not list {pattern}: it is of other files: {there}",
            hint="the publisher may have renamed it: see images/targets",
        )
    name = preferred if preferred in fitting else fitting[-1]
    return Offer(url=f"{base}/{name}", name=name, digest=names[name])


def all_failed(image: CloudImage, faults: list[AssetError]) -> AssetError:
    """One error of those that each of an image's addresses gave."""
    first = faults[0]
    if len(faults) == 1:
        return AssetError(f"{image.id}: {first.message}", hint=first.hint, detail=first.detail)
    return AssetError(
        f"{image.id}: none of its {len(faults)} addresses gave it; the first: {first.message}",
        hint=first.hint,
        detail="\n".join(fault.message for fault in faults),
    )


def _list_address(url: str, web: Web) -> str:
    """The address of a checksum list; a `*` in its last component is looked up in its directory's page."""
    directory, _, pattern = url.rpartition("/")
    if "*" not in pattern:
        return url
    page = _Links()
    page.feed(web.text(f"{directory}/"))
    fitting = sorted(fnmatch.filter(page.names, pattern), key=_natural)
    if not fitting:
        raise AssetError(f"{directory}/ has no {pattern}", hint="the publisher may have renamed it: see images/targets")
    return f"{directory}/{fitting[-1]}"


class _Links(html.parser.HTMLParser):
    """The names of files that a directory's page leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href") if tag == "a" else None
        if target:
            self.names.add(posixpath.basename(unquote(urlsplit(target).path)))


def _natural(name: str) -> list[tuple[int, str]]:
    """So that 1.10 comes after 1.9."""
    return [(int(word), "") if word.isdecimal() else (0, word) for word in re.split(r"(\d+)", name)]
