# SPDX-License-Identifier: MIT
"""The lab's SSH keys: one for its user, one host key for all its guests. The user's SSH keys are never used.

No image contains them: a guest receives them at its first boot (images/recipes/guest/).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmlab.errors import AssetError
from vmlab.image.image import GUEST_USER
from vmlab.image.recipe import overlay_tar
from vmlab.store.store import Store, digest_of
from vmlab.system.files import is_file

_HOST_KEY = "ssh_host_ed25519_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabKeys:
    """Paths of the private keys (the public ones are beside them, `.pub`)."""

    user: Path
    host: Path

    def public(self, private: Path) -> str:
        return private.with_suffix(".pub").read_text(encoding="ascii").strip()

    @property
    def digest(self) -> str:
        """Digest of the public keys, by which a snapshot names the keys in its guest."""
        return digest_of({"keys": [self.public(self.user), self.public(self.host)]})

    def for_guest(self) -> bytes:
        """Return what a guest receives: a tar of its /etc/ssh, with its host key and the user's public key."""
        return overlay_tar(
            {
                _HOST_KEY: self.host.read_text(encoding="ascii"),
                f"{_HOST_KEY}.pub": self.public(self.host) + "\n",
                **{f"authorized_keys/{user}": self.public(self.user) + "\n" for user in (GUEST_USER, "root")},
            },
            private=(_HOST_KEY,),
        )


def lab_keys(store: Store) -> LabKeys:
    """Return the store's Ed25519 keys, made once. Those of a shared store are not used: each host has its own.

    Raises `AssetError` when they cannot be made.
    """
    keys = known_keys(store)
    if keys is not None:
        return keys  # without a lock, because the store may be read-only
    directory = store.directory("keys")
    with store.lock("keys"):
        return make_keys(directory)


def known_keys(store: Store) -> LabKeys | None:
    """Return the store's keys; None if no guest was started with this store yet."""
    keys = _keys_in(store.root / "keys")
    return None if _missing(keys) else keys


def make_keys(directory: Path) -> LabKeys:
    """Make the keys that are missing in a private directory; raises `AssetError`."""
    keys = _keys_in(directory)
    for private in _missing(keys):
        _make(private)
    return keys


def _keys_in(directory: Path) -> LabKeys:
    return LabKeys(user=directory / "user", host=directory / "host")


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
