# SPDX-License-Identifier: MIT
"""A compiler of another version: another target's, copied from its root file system with its libraries.

It includes its dynamic loader, so it also runs beside an older C library. Assembler and linker are those of the place
it is copied to.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from vmlab.catalogue.target import TRIPLETS, Architecture, Target
from vmlab.image.image import BUILD_DIRECTORY, Image
from vmlab.image.sealed import cached_image
from vmlab.lab.lab import Lab

_HOME = "other"
"""Subdirectory of the build directory for the compiler."""
_DRIVER = """\
#!/bin/sh
exec {run} {home}/driver/{name} -B{home}/gcc/ "$@"
"""
_TOLERANT = """\
#!/bin/sh
# {name}, which takes no notice of the options that it does not know.
for word do
	shift
	case $word in {patterns}) ;; *) set -- "$@" "$word" ;; esac
done
exec {home}/{name} "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrowed:
    """A compiler from an image other than the one it is used with."""

    image: Image
    cc1: Path
    """Path of the compiler proper, in the directory of its version."""

    @property
    def major(self) -> int:
        return int(self.cc1.parent.name)

    @property
    def name(self) -> str:
        return f"gcc-{self.major}"

    @property
    def path(self) -> str:
        """Directory to prepend to PATH after the copy."""
        return f"{BUILD_DIRECTORY}/{_HOME}"

    @property
    def tolerant_path(self) -> str:
        """Directory of the tolerant wrapper, to prepend to PATH."""
        return f"{self.path}/tolerant"


def find_other_compiler(lab: Lab, target: Target) -> Borrowed | None:
    """Find the compiler nearest in version to a target's, the older of two. The candidates are the images of this run's
    targets and the stored images of the default matrix. None when all versions are equal."""
    chosen = {row.id for row in lab.targets}
    own = _borrow(lab.testbed(target).image)
    others: list[Borrowed] = []
    for row in lab.matrix.targets:
        if row.architecture is target.architecture and (row.is_default or row.id in chosen):
            image = lab.testbed(row).image if row.id in chosen else cached_image(row, lab.store)
            other = _borrow(image) if image is not None else None
            if own is not None and other is not None and other.major != own.major:
                others.append(other)
    return min(others, key=lambda other: (abs(other.major - own.major), other.major), default=None) if own else None


def _borrow(image: Image) -> Borrowed | None:
    """The newest gcc in an image whose files are on the host; under usr/libexec since Debian 13."""
    folders = [image.tool_root / place / TRIPLETS[image.architecture] for place in ("usr/lib/gcc", "usr/libexec/gcc")]
    found = [Borrowed(image=image, cc1=path) for folder in folders for path in folder.glob("*/cc1")]
    return max(found, key=lambda compiler: compiler.major, default=None)


def put_into(directory: Path, compiler: Borrowed, dropped: tuple[str, ...] = ()) -> list[str]:
    """Write the compiler's files into a directory, for copying to `other/` in a build directory; return their paths.
    The tolerant wrapper ignores the options in `dropped`, given without values."""
    root, home = compiler.image.tool_root, f"{BUILD_DIRECTORY}/{_HOME}"
    triplet = TRIPLETS[compiler.image.architecture]
    driver = root / "usr/bin" / f"{triplet}-{compiler.name}"
    programs = {f"driver/{compiler.name}": driver, "gcc/cc1.real": compiler.cc1}
    libraries = dict(_libraries(root, compiler.image.architecture, list(programs.values())))
    loader = next(name for name in libraries if name.startswith("ld-linux"))
    for name, source in (programs | {f"lib/{name}": source for name, source in libraries.items()}).items():
        place = directory / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, place)
    # Kernels before 5.15 (c0891ac15f04) take stdarg.h from the compiler.
    shutil.copytree(root / "usr/lib/gcc" / triplet / str(compiler.major) / "include", directory / "gcc/include")
    run = f"{home}/lib/{loader} --library-path {home}/lib"
    patterns = "|".join(f"{option}=*" for option in dropped) or "''"
    _script(directory / "gcc/cc1", f'#!/bin/sh\nexec {run} {home}/gcc/cc1.real "$@"\n')
    _script(directory / compiler.name, _DRIVER.format(run=run, home=home, name=compiler.name))
    _script(directory / "tolerant" / compiler.name, _TOLERANT.format(name=compiler.name, patterns=patterns, home=home))
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def _script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _libraries(root: Path, architecture: Architecture, programs: list[Path]) -> Iterator[tuple[str, Path]]:
    """All libraries that programs need, recursively, by name, with the dynamic loader."""
    folders = [root / part / TRIPLETS[architecture] for part in ("usr/lib", "lib")] + [root / "lib", root / "lib64"]
    known: set[str] = set()
    waiting = list(programs)
    while waiting:
        for name in _needed(waiting.pop()):
            if name in known:
                continue
            known.add(name)
            path = next(_inside(root, folder / name) for folder in folders if _is_there(folder / name))
            waiting.append(path)
            yield name, path


def _needed(program: Path) -> Iterator[str]:
    with program.open("rb") as stream:
        for segment in ELFFile(stream).iter_segments():
            if isinstance(segment, InterpSegment):
                yield segment.get_interp_name().rpartition("/")[2]
        for section in ELFFile(stream).iter_sections():
            if isinstance(section, DynamicSection):
                yield from (str(tag.needed) for tag in section.iter_tags("DT_NEEDED"))  # type: ignore[attr-defined]


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _inside(root: Path, path: Path) -> Path:
    """Resolve a path in a root file system, following absolute links within it."""
    while path.is_symlink():
        link = path.readlink()
        path = root / str(link).lstrip("/") if link.is_absolute() else path.parent / link
    return path
