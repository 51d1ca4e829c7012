# SPDX-License-Identifier: MIT
"""Packages that earlier builds downloaded: offered to apt again, each after a check of its digest.

apt compares only the size of a package in its archives, and the scripts of a package run as root.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

_ARCHIVES = "/var/cache/apt/archives"
_UNCHECKED = "/var/cache/vmlab-downloads"
OFFER = """\
from=$1 to=$2
shift 2
"$@" -qq -o Acquire::ForceHash=SHA256 --print-uris | while read -r uri name size digest; do
    if [ -f "$from/$name" ] && [ ! -L "$from/$name" ] &&
        [ "$(sha256sum <"$from/$name")" = "${digest#SHA256:}  -" ]; then
        mv "$from/$name" "$to"
    fi
done
rm -rf "$from"
"""
"""Shell script with the arguments FROM TO APT_GET_INSTALL...: moves the packages that apt would fetch, if they have the
digest in the index, and removes the others. apt has verified the index with the archive's key."""


def sync_in(downloads: Path) -> list[str]:
    """Return mmdebstrap's options that copy the packages into the root, where apt does not look."""
    return [
        f'--setup-hook=mkdir -p "$1{_UNCHECKED}"',
        f"--setup-hook=sync-in {shlex.quote(str(downloads))} {_UNCHECKED}",
    ]


def offer(install: Sequence[str]) -> str:
    """Return mmdebstrap's option that offers the packages to an `apt-get install`, to be run after `apt-get update`."""
    # In the root: outside, a link in it would lead to another file.
    script = shlex.join(["sh", "-c", OFFER, "sh", _UNCHECKED, _ARCHIVES, *install])
    return f'--customize-hook=chroot "$1" {script}'


def sync_out(downloads: Path) -> list[str]:
    """Return mmdebstrap's options that keep the packages which apt has checked or fetched."""
    return [
        f'--customize-hook=rm -f "$1"{_ARCHIVES}/lock; rm -rf "$1"{_ARCHIVES}/partial',
        f"--customize-hook=sync-out {_ARCHIVES} {shlex.quote(str(downloads))}",
    ]
