# SPDX-License-Identifier: MIT
"""The lab's SSH keys: one for its user, one host key for all its guests. The user's SSH keys are never used.

No image contains them: a guest receives them at its first boot (images/recipes/guest/).
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from vmlab.errors import AssetError
from vmlab.image.image import GUEST_USER
from vmlab.image.recipe import overlay_tar
from vmlab.store.store import Store, digest_of
from vmlab.system.private import is_private_directory, read_small

_HOST_KEY = "ssh_host_ed25519_key"
_LARGEST_BYTES = 4096
_PUBLIC = re.compile(r"ssh-ed25519 [A-Za-z0-9+/]{68}\n")
_PRIVATE = re.compile(r"-----BEGIN OPENSSH PRIVATE KEY-----\n[A-Za-z0-9+/=\n]+-----END OPENSSH PRIVATE KEY-----\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabKeys:
    """Paths of the private keys (the public ones are beside them, `.pub`)."""

    user: Path
    host: Path

    def public(self, private: Path) -> str:
        """Return the line of a public key; raises `AssetError` if the file is anything else."""
        return _read(private.with_suffix(".pub"), _PUBLIC).strip()

    @property
    def digest(self) -> str:
        """Digest of the public keys, by which a snapshot names the keys in its guest."""
        return digest_of({"keys": [self.public(self.user), self.public(self.host)]})

    def for_guest(self) -> bytes:
        """Return what a guest receives: a tar of its /etc/ssh, with its host key and the user's public key."""
        return overlay_tar(
            {
                _HOST_KEY: _read(self.host, _PRIVATE),
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
    """Return the store's keys; None if no guest was started with this store yet.

    Raises `AssetError` when a file is not a key, or when other users can change it: guests would be started with it.
    """
    keys = _keys_in(store.root / "keys")
    if _missing(keys):
        return None
    if not is_private_directory(keys.user.parent):
        raise _unusable(keys.user.parent, "it is not a directory that only you can write")
    for private in (keys.user, keys.host):
        keys.public(private)
        _read(private, _PRIVATE)
    return keys


def make_keys(directory: Path) -> LabKeys:
    """Make the keys that are missing in a private directory; raises `AssetError`."""
    keys = _keys_in(directory)
    for private in _missing(keys):
        _make(private)
    return keys


def _keys_in(directory: Path) -> LabKeys:
    return LabKeys(user=directory / "user", host=directory / "host")


def _missing(keys: LabKeys) -> list[Path]:
    return [
        private
        for private in (keys.user, keys.host)
        if not (os.path.lexists(private) and os.path.lexists(private.with_suffix(".pub")))
    ]


def _read(path: Path, form: re.Pattern[str]) -> str:
    try:
        text = read_small(path, limit_bytes=_LARGEST_BYTES, must_be_own=True).decode("ascii")
    except OSError as error:
        raise _unusable(path, f"it cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise _unusable(path, "it is not ASCII" if isinstance(error, UnicodeError) else str(error)) from None
    if form.fullmatch(text) is None:
        raise _unusable(path, "it is not an Ed25519 key of the lab")
    return text


def _unusable(path: Path, why: str) -> AssetError:
    where = shlex.quote(str(path if path.is_dir() else path.parent))
    return AssetError(
        f"cannot use the store's SSH keys: {str(path)!r}: {why}",
        hint=f"`chmod -R go-w {where}`, or remove {where}: the next run makes new keys",
    )


def _make(private: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    try:
        # The public half exists only beside its private one.
        private.with_suffix(".pub").unlink(missing_ok=True)
        for path, half in ((private, text), (private.with_suffix(".pub"), public + b"\n")):
            # Complete when it takes its name, where another process reads it without a lock. A new file: an existing
            # one, or a link, would keep its mode.
            new = path.with_name(f".{path.name}.{os.getpid()}")
            new.unlink(missing_ok=True)
            new.touch(mode=0o600, exist_ok=False)
            new.chmod(0o600)  # whatever the umask
            new.write_bytes(half)
            new.replace(path)
    except OSError as error:
        raise AssetError(f"cannot make an SSH key in {str(private.parent)!r}: {error.strerror}") from error
