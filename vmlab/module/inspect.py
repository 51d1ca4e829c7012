# SPDX-License-Identifier: MIT
"""Metadata of a built .ko, read before the kernel loads it."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vmlab.catalogue.target import Architecture
from vmlab.errors import BuildError, hides_frames
from vmlab.module.elf_limits import UnusableElf, require_sane

__tracebackhide__ = hides_frames

MOST_FILE_BYTES = 512 << 20
"""Maximum size of a .ko: the largest of the kernel has 10 MB, with debug information 200."""
_MOST_SECTION_BYTES = 4 << 20
"""Maximum size of .modinfo and .comment: a module with 500 aliases and 500 parameters has 100 KB."""
_MACHINES = {Architecture.AMD64: "EM_X86_64", Architecture.ARM64: "EM_AARCH64"}

_NAME = re.compile(r"\w{1,55}", re.ASCII)
"""KBUILD_MODNAME is a C identifier (scripts/Makefile.lib), and MODULE_NAME_LEN is 56 (include/linux/moduleparam.h). The
name becomes a word in a root shell of the guest."""
_FILE_NAME = re.compile(r"[A-Za-z0-9_][\w-]{0,54}", re.ASCII)
_MOST_NAMES = 200
_LONGEST_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleInfo:
    """Metadata of a .ko, from `.modinfo`, `.comment` and the ELF header."""

    name: str
    vermagic: str
    license: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Types by parameter name, such as `max_n: ulong`."""
    machine: str
    """Architecture of its code, as named in elf.h: `EM_AARCH64`."""
    compilers: tuple[str, ...]
    """Compilers of all linked objects, as in `.comment`: `GCC: (Debian 12.2.0-14) 12.2.0`."""
    depends: tuple[str, ...] = ()
    """Modules whose symbols it uses, as modpost found them."""
    softdeps: tuple[str, ...] = ()
    """Modules that MODULE_SOFTDEP("pre: …") wants loaded before (modprobe.d(5))."""
    firmware: tuple[str, ...] = ()
    """Files that MODULE_FIRMWARE() names."""

    @property
    def loaded_before(self) -> tuple[str, ...]:
        """Modules that are loaded before it, with underscores."""
        names = (*self.depends, *self.softdeps)
        return tuple(dict.fromkeys(name.replace("-", "_") for name in names))

    @property
    def release(self) -> str:
        """Kernel release that it was built for: vermagic's first word."""
        return self.vermagic.split(" ")[0]


def inspect_module(path: Path) -> ModuleInfo:
    """Read a .ko; raises `BuildError` when it is not a kernel module."""
    from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > MOST_FILE_BYTES:
                raise UnusableElf(f"it has {size} bytes, the limit is {MOST_FILE_BYTES}")
            data = stream.read(size)
        require_sane(data)
        elf = ELFFile(io.BytesIO(data))
        sections = {name: _section(elf, name) for name in (".modinfo", ".comment")}
    except Exception as error:  # noqa: BLE001 - pyelftools may raise any exception if the file is damaged
        raise BuildError(f"{path.name!r} is not an ELF file: {error}") from None
    if not sections[".modinfo"]:
        raise BuildError(f"{path.name!r} is not a kernel module: it has no .modinfo section")
    pairs = [text.partition("=")[::2] for text in _strings(sections[".modinfo"])]
    first: dict[str, str] = {}
    for key, value in pairs:
        first.setdefault(key, value)
    name = first.get("name", path.stem.replace("-", "_"))
    if not _NAME.fullmatch(name):
        raise BuildError(
            f"{path.name!r} is not a kernel module: its name must have 1 to 55 letters, digits and underscores, "
            f"got {name[:_LONGEST_SHOWN]!r}",
            hint="name its object in `obj-m` accordingly",
        )
    return ModuleInfo(
        name=name,
        vermagic=first.get("vermagic", ""),
        license=first.get("license", ""),
        parameters=dict(value.partition(":")[::2] for key, value in pairs if key == "parmtype"),
        machine=str(elf["e_machine"]),
        compilers=tuple(sorted(set(_strings(sections[".comment"])))),
        depends=_module_names(first.get("depends", "").split(",")),
        softdeps=_module_names(_softdeps(value for key, value in pairs if key == "softdep")),
        firmware=tuple(value for key, value in pairs if key == "firmware")[:_MOST_NAMES],
    )


def _softdeps(values: Iterable[str]) -> Iterator[str]:
    """Yield the modules of the `pre:` parts."""
    for value in values:
        is_before = False
        for word in value.split():
            if word in ("pre:", "post:"):
                is_before = word == "pre:"
            elif is_before:
                yield word


def _module_names(words: Iterable[str]) -> tuple[str, ...]:
    """Return the words that can be a module's name: they become words of a root shell in the guest."""
    return tuple(word for word in words if _FILE_NAME.fullmatch(word))[:_MOST_NAMES]


def require_fit(
    info: ModuleInfo, *, release: str, architecture: Architecture, compiler_version: str, is_waived: bool
) -> None:
    """Raise `BuildError` when the module does not fit this kernel, before insmod runs.

    The kernel compares the whole vermagic string; in practice only the release differs.
    """
    if info.release != release:
        raise BuildError(
            f"{info.name}.ko was built for {info.release!r}, but the guest runs {release!r}",
            hint="build it against this kernel's headers",
        )
    if info.machine != _MACHINES[architecture]:
        raise BuildError(
            f"{info.name}.ko has code for {info.machine}, but the guest is {architecture}",
            hint="remove ARCH and CROSS_COMPILE from its Makefile: Kbuild chooses them",
        )
    others = [text for text in info.compilers if compiler_version not in text.split()]
    if others and not is_waived:
        raise BuildError(
            f"{info.name}.ko was compiled by {others[0]!r}, expected the kernel's compiler, version {compiler_version}",
            hint="remove CC from its Makefile, so that Kbuild chooses it, or use --vmlab-compiler waive",
        )


def _section(elf: object, name: str) -> bytes:
    section = elf.get_section_by_name(name)  # type: ignore[attr-defined]
    if section is None:
        return b""
    if section.data_size > _MOST_SECTION_BYTES:
        raise UnusableElf(f"its section {name} has {section.data_size} bytes")
    return bytes(section.data())


def _strings(data: bytes) -> list[str]:
    return [part.decode("utf-8", errors="replace") for part in data.split(b"\0") if part]
