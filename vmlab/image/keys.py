# SPDX-License-Identifier: MIT
"""The lab's SSH keys: one for its user, one host key for all its guests. The user's SSH keys are never used."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vmlab.errors import AssetError
from vmlab.store.store import Store
from vmlab.system.files import is_file


@dataclass(frozen=True, slots=True, kw_only=True)
class LabKeys:
    """Paths of the private keys (the public ones are beside them, `.pub`)."""

    user: Path
    host: Path

    def public(self, private: Path) -> str:
        return private.with_suffix(".pub").read_text(encoding="ascii").strip()


def lab_keys(store: Store) -> LabKeys:
    """Return the store's Ed25519 keys, made once; every image contains them, so images belong to their store.

    The keys of a shared store take precedence: its images contain them. Raises `AssetError` when they cannot be read.
    """
    shared = store.shared_directory("keys")
    # A directory that cannot be entered seems to be empty.
    if shared is not None and (is_file(shared / "user.pub") or not os.access(shared, os.X_OK)):
        keys = LabKeys(user=shared / "user", host=shared / "host")
        for private in (keys.user, keys.host):
            if not all(os.access(half, os.R_OK) for half in (private, private.with_suffix(".pub"))):
                raise AssetError(
                    f"cannot read a key of the shared store's guests: {str(private)!r}",
                    hint=f"have the shared store's maintainer run: chmod -R a+rX {store.shared}",
                )
        return keys
    directory = store.root / "keys"
    keys = LabKeys(user=directory / "user", host=directory / "host")
    if not _missing(keys):
        return keys  # without a lock, because the store may be read-only
    store.directory("keys")
    with store.lock("keys"):
        for private in _missing(keys):
            _make(private)
    return keys


def _missing(keys: LabKeys) -> list[Path]:
    return [private for private in (keys.user, keys.host) if not is_file(private.with_suffix(".pub"))]


def _make(private: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    try:
        # A new file: an existing one, or a link, would keep its mode.
        private.unlink(missing_ok=True)
        private.touch(mode=0o600, exist_ok=False)
        private.write_bytes(text)
        # The public half is written last: if it exists, the private one is complete.
        private.with_suffix(".pub").write_bytes(public + b"\n")
    except OSError as error:
        raise AssetError(f"cannot make an SSH key in {str(private.parent)!r}: {error.strerror}") from error
