# SPDX-License-Identifier: MIT
"""Classification of files in debug information: the module's or the kernel's. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

# Directories of the kernel's headers, below its source tree or build tree.
_KERNEL_HEADERS = re.compile(
    r"^(?P<root>.*?)/(?:include/(?:uapi/|generated/(?:uapi/)?)?(?:linux|asm-generic|generated|vdso)"
    r"|arch/[^/]+/include(?:/uapi)?(?:/generated(?:/uapi)?)?(?:/asm)?)$"
)
_COMPILERS = ("/usr/lib/gcc/", "/usr/lib/clang/", "/usr/lib/llvm")
_KERNELS_PART = "/scripts/module-common.c"
"""Kernel file that is linked into each module since 6.13."""


class OwnFiles:
    """Directories of a module and of the kernel, to classify files."""

    def __init__(self, sources: Iterable[str], directories: Iterable[str], *, root: str = "") -> None:
        """Use the compiled files `sources` and the headers' `directories`, all absolute paths. `root` is the module's
        directory, if known; the default is the common directory of the sources."""
        folders = [posixpath.dirname(path) for path in sources if not path.endswith(_KERNELS_PART)]
        is_known = bool(root) and all(_is_below(folder, root) for folder in folders)
        self._root = root if is_known else _common(folders)
        found = {match["root"] or "/" for match in map(_KERNEL_HEADERS.match, directories) if match}
        outside = {kernel for kernel in found if not _is_below(kernel, self._root)}
        # A module may have an include/linux/ directory, as backports do. If there is no other, it is the kernel's.
        self._kernels = sorted(outside or found, key=len, reverse=True)

    def is_own(self, path: str) -> bool:
        """True for a file of the module, False for one of the kernel or the compiler."""
        kernel = next((kernel for kernel in self._kernels if _is_below(path, kernel)), "")
        if kernel and _is_below(kernel, self._root):
            return not any(_is_below(path, f"{kernel.rstrip('/')}/{part}") for part in ("include", "arch"))
        return _is_below(path, self._root) or not (kernel or path.startswith(_COMPILERS))

    def short(self, path: str) -> str:
        """Path for reports: relative to the module's directory, or the kernel's."""
        for root in (self._root, *self._kernels):
            if root not in ("", "/") and _is_below(path, root):
                return path[len(root) + 1 :]
        return path


def joined(*parts: str) -> str:
    """Join path parts and remove `.` and `..`; an absolute part replaces those before it."""
    return posixpath.normpath(posixpath.join(*parts)) if any(parts) else ""


def _common(folders: list[str]) -> str:
    try:
        return posixpath.commonpath(folders)
    except ValueError:
        # No folders, or a mix of absolute and relative ones.
        return ""


def _is_below(path: str, root: str) -> bool:
    return bool(root) and (path == root or path.startswith(f"{root.rstrip('/')}/"))
