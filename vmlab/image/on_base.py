# SPDX-License-Identifier: MIT
"""mmdebstrap's options that install packages on a suite's base, the same for an image and for added tools."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from vmlab.image.downloads import offer, sync_in, sync_out
from vmlab.image.mirrors import REMOVE_LOGINS
from vmlab.settings import StaleIndex

BASE = "base.tar"
"""The base, in the directory where mmdebstrap runs."""
CHROOT = 'DEBIAN_FRONTEND=noninteractive chroot "$1"'
"""Start of a hook's command that runs in the root."""


def installed_on_base(
    packages: Sequence[str],
    *,
    sources: str,
    logins: Sequence[str],
    downloads: Path,
    stale_index: StaleIndex,
    before: Sequence[str] = (),
) -> list[str]:
    """Return the options that unpack the base and install packages in it.

    `packages` are arguments of `apt-get install`, `sources` the lines of sources.list, and `logins` the options that
    give apt the mirrors' passwords. `before` are options for hooks between the index and the installation.
    """
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    is_fresh = "false" if stale_index is StaleIndex.ACCEPT else "true"
    return [
        "--variant=custom",
        # The base contains mmdebstrap's replacements for starting services; the image's `seal` undoes them.
        "--skip=update,chroot/policy-rc.d,chroot/start-stop-daemon",
        f"--setup-hook=tar-in {BASE} /",
        *logins,
        *sync_in(downloads),
        f"""--customize-hook=printf '%s\\n' {shlex.quote(sources)} >"$1/etc/apt/sources.list" """,
        f"--customize-hook={CHROOT} apt-get -o Acquire::Check-Valid-Until={is_fresh} update",
        offer(install),
        *before,
        f"--customize-hook={CHROOT} {shlex.join(install)} "
        "-o Dpkg::Options::=--force-unsafe-io -o APT::Keep-Downloaded-Packages=true",
        REMOVE_LOGINS,
        *sync_out(downloads),
    ]
