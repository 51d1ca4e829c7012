# SPDX-License-Identifier: MIT
"""Signatures of checksum lists, checked by gpgv(1) if this host has the publisher's key.

Keys come with the host's packages: ubuntu-keyring, distribution-gpg-keys, or the distribution's own. A key fetched from
the list's server would prove nothing.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from pathlib import Path

from vmlab.errors import AssetError
from vmlab.system.process import find_program, run
from vmlab.system.scratch import ScratchDirectory

SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----"
_ARMOUR = re.compile(rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(?:\S.*\r?\n)*\r?\n([A-Za-z0-9+/=\s]+?)\r?\n=")
_VALID = re.compile(r"^\[GNUPG:\] VALIDSIG .* ([0-9A-F]{40})$", re.MULTILINE)
_TIMEOUT_S = 30


def find_keyring(candidates: Iterable[str]) -> Path | None:
    """Return the first of some keyrings that exists; None if none does, or gpgv is missing."""
    if find_program("gpgv") is None:
        return None
    return next((path for path in map(Path, candidates) if path.is_file()), None)


def require_signed(text: str, *, where: str) -> None:
    """Raise `AssetError` for a list without the signature that its publisher adds."""
    if SIGNED not in text.splitlines():
        raise AssetError(f"{where} is not signed, but its publisher signs it", hint="do not use it; retry later")


def check_signature(text: str, keyring: Path, *, where: str, detached: bytes | None = None) -> str:
    """Return the fingerprint of the key that signed a list; `detached` is a signature in a separate file.

    Raises `AssetError` when the signature is invalid, or its key is not in `keyring`.
    """
    with ScratchDirectory(needed_mib=1, what="a signature") as directory:
        (directory / "list").write_bytes(text.encode())
        (directory / "keyring").write_bytes(_unarmoured(keyring.read_bytes()))
        files = [str(directory / "list")]
        if detached is not None:
            (directory / "signature").write_bytes(detached)
            files.insert(0, str(directory / "signature"))
        options = ["--homedir", str(directory), "--keyring", str(directory / "keyring"), "--status-fd", "1"]
        checked = run(["gpgv", *options, *files], timeout_s=_TIMEOUT_S)
    valid = _VALID.search(checked.output)
    if not checked.ok or valid is None:
        why = f"by a key that is not in {keyring}" if "NO_PUBKEY" in checked.output else "invalid"
        raise AssetError(
            f"{where}: its signature is {why}", hint="do not use it; report it to its publisher", detail=checked.tail
        )
    return valid[1]


def _unarmoured(keyring: bytes) -> bytes:
    """Return a keyring as gpgv reads it, without the armour of RFC 9580, section 6."""
    blocks = _ARMOUR.findall(keyring)
    try:
        return b"".join(base64.b64decode(block) for block in blocks) if blocks else keyring
    except binascii.Error:
        return keyring
