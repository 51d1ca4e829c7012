# SPDX-License-Identifier: MIT
"""A publisher's current offer: the file that a catalogue's row stands for, and its checksum."""

from __future__ import annotations

import fnmatch
import html.parser
import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from vmlab.catalogue.cloud_image import CloudImage
from vmlab.cloud.checksums import parse_checksums
from vmlab.cloud.http import Web
from vmlab.cloud.http_fault import WebFault
from vmlab.cloud.lock import LockedImage, is_name
from vmlab.cloud.signature import check_signature, find_keyring, require_signed
from vmlab.context import Say, silent
from vmlab.errors import AssetError
from vmlab.system.naming import told_of

_INSIDE = "inside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A file as a publisher's checksum list names it."""

    url: str
    name: str
    digest: str
    signer: str
    """Fingerprint of the key that signed the list; empty when the signature was not checked."""


def look(image: CloudImage, web: Web, *, notice: Say = silent, unchecked: Say = silent) -> LockedImage:
    """Return the publisher's current file as a row of the lock, from the first of its addresses that answers.

    Sends two to four small requests; the file itself is not fetched. `notice` gets the state of the list's signature,
    and `unchecked` too if the list is signed and this host cannot check that. Raises `AssetError` when no address
    answers.
    """
    faults: list[AssetError] = []
    for place in range(len(image.urls)):
        try:
            offer = find_offer(image, place, web)
            size = web.size_of(offer.url)
            if size == 0:
                raise AssetError(f"{offer.url} is empty", hint="retry later")
        except WebFault as fault:
            faults.append(AssetError(fault.message, hint=fault.hint))
        except AssetError as error:
            faults.append(error)
        else:
            signature = _about_signature(image, offer)
            notice(f"{image.id}: {signature}")
            if image.signature and not offer.signer:
                unchecked(signature)
            return LockedImage(
                id=image.id, name=offer.name, size_bytes=size, algorithm=image.algorithm, digest=offer.digest
            )
    raise all_failed(image, faults)


def find_offer(image: CloudImage, place: int, web: Web, *, preferred: str = "") -> Offer:
    """Return the file that one of an image's addresses stands for: `preferred` if it is listed, else the newest.

    Raises `WebFault` or `AssetError`.
    """
    base, _, pattern = image.urls[place].rpartition("/")
    listed_at = _list_address(image.checksums[place], web)
    listed = web.text(listed_at)
    names = parse_checksums(listed, image.algorithm, where=listed_at)
    signer = _signer(image, listed, listed_at, web)
    fitting = sorted((name for name in names if is_name(name) and fnmatch.fnmatch(name, pattern)), key=_natural)
    if not fitting:
        there = ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise AssetError(
            f"{listed_at} does not list {pattern!r}: it lists {there}",
            hint="the publisher may have renamed it: check the row in images/targets",
        )
    name = preferred if preferred in fitting else fitting[-1]
    return Offer(url=f"{base}/{name}", name=name, digest=names[name], signer=signer)


def _signer(image: CloudImage, listed: str, listed_at: str, web: Web) -> str:
    """Return the fingerprint of a list's signer; empty when it is not signed, or this host lacks the key."""
    is_inside = image.signature == _INSIDE
    if is_inside:
        require_signed(listed, where=listed_at)
    keyring = find_keyring(image.keyrings) if image.signature else None
    if keyring is None:
        return ""
    detached = None if is_inside else web.small_file(f"{listed_at}{image.signature}")
    return check_signature(listed, keyring, where=listed_at, detached=detached)


def _about_signature(image: CloudImage, offer: Offer) -> str:
    if offer.signer:
        return f"its list is signed by {offer.signer}"
    if not image.signature:
        return "its list has no known signature"
    return f"its list's signature was not checked: this host lacks gpgv or all of {', '.join(image.keyrings)}"


def all_failed(image: CloudImage, faults: list[AssetError]) -> AssetError:
    """Combine the errors of an image's addresses into one."""
    first = faults[0]
    if len(faults) == 1:
        return AssetError(told_of(image.id, first.message), hint=first.hint, detail=first.detail)
    return AssetError(
        told_of(image.id, f"all of its {len(faults)} addresses failed, the first with", first.message),
        hint=first.hint,
        detail="\n".join(fault.message for fault in faults),
    )


def _list_address(url: str, web: Web) -> str:
    """Return the address of a checksum list; a `*` in its last component is resolved from its directory's page."""
    directory, _, pattern = url.rpartition("/")
    if "*" not in pattern:
        return url
    page = _Links()
    try:
        page.feed(web.text(f"{directory}/"))
    except (ValueError, AssertionError) as error:
        raise AssetError(f"{directory}/ is not a valid page: {error}", hint="retry later") from None
    fitting = sorted(fnmatch.filter(page.names, pattern), key=_natural)
    if not fitting:
        raise AssetError(f"{directory}/ lists no {pattern!r}", hint="if it was renamed, correct images/targets")
    return f"{directory}/{fitting[-1]}"


class _Links(html.parser.HTMLParser):
    """Collects the names of the files that a directory's page links to."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href") if tag == "a" else None
        if target:
            self.names.add(posixpath.basename(unquote(urlsplit(target).path)))


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts 1.10 after 1.9."""
    # Without int(), which refuses thousands of digits: of two numbers without leading zeros, the longer is larger.
    words = re.split(r"([0-9]+)", name)
    words[1::2] = [digits.lstrip("0") for digits in words[1::2]]
    return [(len(word) if place % 2 else 0, word) for place, word in enumerate(words)]
