# SPDX-License-Identifier: MIT
"""The files that debug information names, as a module's own or the kernel's. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

# A directory of the kernel's headers begins in one of these ways below the kernel's tree, or its build's.
_KERNEL_HEADERS = re.compile(
    r"^(?P<root>.*?)/(?:include/(?:uapi/|generated/(?:uapi/)?)?(?:linux|asm-generic|generated|vdso)"
    r"|arch/[^/]+/include(?:/uapi)?(?:/generated(?:/uapi)?)?(?:/asm)?)$"
)
_COMPILERS = ("/usr/lib/gcc/", "/usr/lib/clang/", "/usr/lib/llvm")
_KERNELS_PART = "/scripts/module-common.c"
"""A file of the kernel's that is linked into each module since 6.13."""


class OwnFiles:
    """A module's directory, the kernel's directories, and on which side a file is."""

    def __init__(self, sources: Iterable[str], directories: Iterable[str], *, root: str = "") -> None:
        """`sources` are the files that were compiled, `directories` those that headers came from, all with their whole
        path. `root` is the module's directory where that is known; else it is what the sources have in common."""
        folders = [posixpath.dirname(path) for path in sources if not path.endswith(_KERNELS_PART)]
        is_known = bool(root) and all(_is_below(folder, root) for folder in folders)
        self._root = root if is_known else _common(folders)
        found = {match["root"] or "/" for match in map(_KERNEL_HEADERS.match, directories) if match}
        outside = {kernel for kernel in found if not _is_below(kernel, self._root)}
        # A module may have an include/linux/ of its own, as backports do. It is the kernel's where there is no other.
        self._kernels = sorted(outside or found, key=len, reverse=True)

    def is_own(self, path: str) -> bool:
        """True for a file of the module, false for one of the kernel or the compiler."""
        kernel = next((kernel for kernel in self._kernels if _is_below(path, kernel)), "")
        if kernel and _is_below(kernel, self._root):
            return not any(_is_below(path, f"{kernel.rstrip('/')}/{part}") for part in ("include", "arch"))
        return _is_below(path, self._root) or not (kernel or path.startswith(_COMPILERS))

    def short(self, path: str) -> str:
        """A path as it reads in a report: below the module's directory, or the kernel's."""
        for root in (self._root, *self._kernels):
            if root not in ("", "/") and _is_below(path, root):
                return path[len(root) + 1 :]
        return path


def joined(*parts: str) -> str:
    """A path of several parts, without `.` and `..`; a part that is absolute replaces those before it."""
    return posixpath.normpath(posixpath.join(*parts)) if any(parts) else ""


def _common(folders: list[str]) -> str:
    try:
        return posixpath.commonpath(folders)
    except ValueError:
        # There are none, or some are absolute and some not.
        return ""


def _is_below(path: str, root: str) -> bool:
    return bool(root) and (path == root or path.startswith(f"{root.rstrip('/')}/"))
