# SPDX-License-Identifier: MIT
"""Parser of publishers' checksum lists. Pure.

Ubuntu, Debian, AlmaLinux and openSUSE use the format of sha256sum(1), Ubuntu with the mark of a binary file, openSUSE
Leap 15 with one space. Fedora uses that of `sha256sum --tag`, in a signed text (RFC 9580, section 7).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from vmlab.catalogue.cloud_image import Algorithm
from vmlab.cloud.signature import SIGNED
from vmlab.errors import AssetError

_SIGNATURE = "-----BEGIN PGP SIGNATURE-----"
_SIGNATURE_END = "-----END PGP SIGNATURE-----"
_GNU = re.compile(r"([0-9a-fA-F]{32,}) [ *]?(\S.*)")
_BSD = re.compile(r"([A-Z0-9]+) \((.+)\) = ([0-9a-fA-F]+)")
_PAGE = re.compile(r"\s*<(?:!doctype|html|\?xml)", re.IGNORECASE)
_HEX_DIGITS = {Algorithm.SHA256: 64, Algorithm.SHA512: 128}


def parse_checksums(text: str, algorithm: Algorithm, *, where: str) -> Mapping[str, str]:
    """Return the list's digests of `algorithm` by file name, in lower case.

    `where` is the list's address. Raises `AssetError` for a text that is not a checksum list, or a truncated one.
    """
    if _PAGE.match(text):
        raise AssetError(
            f"{where} is a web page, not a checksum list",
            hint="a captive portal or a proxy may send it: open the publisher's site in a browser first",
        )
    found: dict[str, str] = {}
    for number, line in _rows(text, where):
        bsd, gnu = _BSD.fullmatch(line), _GNU.fullmatch(line)
        if bsd:
            if bsd[1].lower() != algorithm:
                continue
            name, digest = bsd[2], bsd[3]
        elif gnu:
            name, digest = gnu[2], gnu[1]
        else:
            raise _broken(where, number, "is not a checksum")
        if len(digest) != _HEX_DIGITS[algorithm]:
            raise _broken(where, number, f"has {len(digest)} digits, {algorithm} has {_HEX_DIGITS[algorithm]}")
        name, digest = name.removeprefix("./"), digest.lower()
        if found.setdefault(name, digest) != digest:
            raise AssetError(f"{where} lists {name!r} with two different checksums", hint="retry later")
    if not found:
        raise AssetError(f"{where} contains no {algorithm} checksum", hint="retry later")
    return found


def _rows(text: str, where: str) -> Iterator[tuple[int, str]]:
    """Return the lines that are neither empty nor comments, with their numbers."""
    lines = [line.rstrip() for line in text.splitlines()]
    numbered = list(enumerate(lines, start=1))
    if SIGNED in lines:
        if lines.count(SIGNED) != 1 or _SIGNATURE not in lines or _SIGNATURE_END not in lines:
            raise AssetError(f"{where} is truncated: its signature is incomplete", hint="retry later")
        begin = lines.index(SIGNED)
        # Text outside the signed part is not trusted. Headers end with an empty line.
        begin += lines[begin:].index("") if "" in lines[begin:] else 0
        numbered = [(n, line.removeprefix("- ")) for n, line in numbered[begin : lines.index(_SIGNATURE)]]
    return ((number, line) for number, line in numbered if line and not line.startswith("#"))


def _broken(where: str, number: int, what: str) -> AssetError:
    return AssetError(f"{where}: line {number} {what}: the list is truncated or invalid", hint="retry later")
