# SPDX-License-Identifier: MIT
"""Files written whole, directories removed whole, and the error of a disk that refuses."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

from vmlab.errors import HostError
from vmlab.system.process import run


def replace_file(path: Path, text: str) -> None:
    """Write a small file so that readers see the old one or the new one, never half."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise disk_error(error, path.parent) from error


def disk_error(error: OSError, path: Path) -> HostError:
    """The lab's word for a failed write, with the free space when that was the cause."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free_mib = shutil.disk_usage(path).free // 2**20 if path.exists() else 0
        return HostError(
            f"no space left in {str(path)!r}: {free_mib} MiB free",
            hint="free some with `vmlab images prune`, or name a larger place with --vmlab-store",
        )
    hint = "name another place with --vmlab-store"
    if error.errno == errno.EROFS:
        hint += ", and a store to be read only with --vmlab-shared-store"
    return HostError(f"cannot write to {str(path)!r}: {error.strerror}", hint=hint)


def remove_tree(path: Path) -> None:
    """Delete a directory, if it is there, without leaving its file system: a mount below it is not ours to empty.

    Read-only directories, which unpacked root file systems have, are opened first.
    """
    if not path.exists():
        return
    locked = ["-xdev", "-type", "d", "!", "-perm", "-700", "-exec", "chmod", "u+rwx", "{}", ";"]
    run(["find", str(path), *locked], timeout_s=600)
    removed = run(["rm", "-rf", "--one-file-system", "--", str(path)], timeout_s=600)
    if not removed.ok:
        raise HostError(f"cannot remove {str(path)!r}", hint="remove it by hand", detail=removed.tail)
