# SPDX-License-Identifier: MIT
"""The experiments' modules, built together once per kernel and kept in the store."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import lzma
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmlab.errors import BuildError
from vmlab.image.image import Image
from vmlab.lab.testbed import Testbed
from vmlab.module.build import find_compiler, make_command
from vmlab.module.build_root import Place
from vmlab.module.compiler import kernel_compiler
from vmlab.module.source import read_files

from .license import LICENSES, License, relicensed

MODULES = Path(__file__).parent / "modules"
_NAME = "experiments"
_RENAMED = b"vmlab_rival_name\0"
"""Symbol that rival.ko exports, before it is renamed to a taken name."""
TAKEN_NAMES = ("vmlab_gpl", "kstrtouint")
"""A name that lender.ko exports, and one that the kernel exports."""
USERS = ("plain", "gpl")
"""The user of an unrestricted symbol, and the user of a GPL-only symbol."""
_REVISION = 2
"""Increased when the same sources build to a different result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """Built modules. The `.ko` files have no debug information (`strip --strip-debug`, as INSTALL_MOD_STRIP=1 does): a
    tenth of the size, with everything that the kernel reads."""

    directory: Path
    release: str
    modpost: Mapping[str, str]
    """modpost's message on `gpl_user.c` and `plain_user.c` under each license, by `gpl_SLUG` and `plain_SLUG`; empty
    where modpost accepts the module."""

    def ko(self, name: str) -> Path:
        return self.directory / "ko" / f"{name}.ko"

    @property
    def builtin(self) -> Path:
        """hello.c compiled without -DMODULE, as built-in code."""
        return self.directory / "builtin.o"

    @property
    def archive(self) -> Path:
        """All .ko files, ready to be copied into a guest."""
        return self.directory / "ko.tar.gz"


def obtain_kit(testbed: Testbed) -> Kit:
    """The kit for a target's kernel, from the store or built now (half a minute on two cores; longer in a guest).

    Raises `BuildError`.
    """
    image = testbed.image

    def build(work: Path) -> Mapping[str, Any]:
        with testbed.place() as place, tempfile.TemporaryDirectory(prefix="vmlab-kit-") as scratch:
            return _Build(image, place, testbed.limits.build_s, Path(scratch), work).run()

    inputs = {"revision": _REVISION, "sources": _digest(), "licenses": [each.text for each in LICENSES]}
    stored = testbed.run.store.obtain("experiments", {**inputs, "image": image.digest}, build)
    modpost: Mapping[str, str] = json.loads(stored.file("modpost.json").read_text(encoding="utf-8"))
    return Kit(directory=stored.path, release=image.release, modpost=modpost)


def _sources() -> list[str]:
    return sorted(str(path.relative_to(MODULES)) for path in MODULES.rglob("*") if path.is_file())


def _digest() -> str:
    digest = hashlib.sha256()
    for name in _sources():
        digest.update(name.encode() + b"\0" + (MODULES / name).read_bytes())
    return digest.hexdigest()


class _Build:
    def __init__(self, image: Image, place: Place, limit_s: float, scratch: Path, work: Path) -> None:
        self._image = image
        self._place = place
        self._limit_s = limit_s
        self._scratch = scratch
        self._work = work
        config = f"grep -h CONFIG_CC_VERSION_TEXT /lib/modules/{image.release}/build/.config"
        self._kernel = kernel_compiler(self._demand(config, "which compiler built the kernel"))
        self._compiler = find_compiler(self._kernel, image.architecture, place, timeout_s=limit_s)

    def run(self) -> Mapping[str, Any]:
        self._place.put_tree(read_files(MODULES, _sources()), _NAME)
        log = self._demand(self._make(_NAME), "the experiments' modules")
        log += self._demand(self._make(f"{_NAME}/builtin", goal="hello.o"), "hello.c as part of a kernel")
        (self._work / "build.log").write_text(log, encoding="utf-8")
        modpost = json.dumps(dict(self._judge_licenses()), indent=1)
        (self._work / "modpost.json").write_text(modpost, encoding="utf-8")
        self._collect()
        return {"name": f"{self._image.target_id} experiments"}

    def _make(self, directory: str, *, goal: str = "modules") -> str:
        command = make_command(directory, self._image.release, self._kernel, self._compiler)
        return command.removesuffix("modules") + goal

    def _demand(self, command: str, what: str) -> str:
        outcome = self._place.run(command, timeout_s=self._limit_s)
        if outcome.status != 0:
            raise BuildError(f"{what}: does not build on {self._image.release}", detail=outcome.output)
        return f"$ {command}\n{outcome.output}"

    def _judge_licenses(self) -> Iterator[tuple[str, str]]:
        """Build the users under every license. modpost stops at the first refused module (5.10) or names all of them
        (since 5.12). Refused modules are removed and modpost runs again until it accepts the rest."""
        names = [user_name(kind, each) for kind in USERS for each in LICENSES]
        directory = self._scratch / "licenses"
        directory.mkdir()
        for kind, each in itertools.product(USERS, LICENSES):
            source = f'#define VMLAB_LICENSE "{each.text}"\n#include "../{_NAME}/{kind}_user.c"\n'
            (directory / f"{user_name(kind, each)}.c").write_text(source, encoding="utf-8")
        left = list(names)
        environment = f"export KBUILD_MODPOST_NOFINAL=1 KBUILD_EXTRA_SYMBOLS=/build/{_NAME}/Module.symvers"
        while left:
            objects = " ".join(f"{name}.o" for name in left)
            (directory / "Kbuild").write_text(f"obj-m := {objects}\n", encoding="utf-8")
            self._place.put_tree(read_files(directory, ["Kbuild", *(f"{name}.c" for name in left)]), "licenses")
            outcome = self._place.run(f"{environment}; {self._make('licenses')}", timeout_s=self._limit_s)
            said = {name: _line_naming(outcome.output, f"{name}.ko") for name in left}
            refused = {name: line for name, line in said.items() if line}
            if not refused and outcome.status != 0:
                raise BuildError("the users under every license do not build", detail=outcome.output)
            yield from refused.items()
            left = [name for name in left if name not in refused]
            if outcome.status == 0:
                break
        yield from ((name, "") for name in left)

    def _collect(self) -> None:
        self._demand(
            f"cd {_NAME} && mkdir ko && for ko in *.ko; do strip --strip-debug -o ko/$ko $ko; done && "
            "cp builtin/hello.o ko/builtin.o && strip --strip-debug ko/builtin.o && tar -cf ko.tar ko",
            "stripping",
        )
        self._place.get(f"{_NAME}/ko.tar", self._scratch / "ko.tar")
        directory = self._work / "ko"
        _unpack(self._scratch / "ko.tar", directory)
        (directory / "builtin.o").rename(self._work / "builtin.o")
        for kind, each in itertools.product(USERS, LICENSES):
            data = (directory / f"{kind}_user.ko").read_bytes()
            (directory / f"{user_name(kind, each)}.ko").write_bytes(relicensed(data, each))
        for name in TAKEN_NAMES:
            data = (directory / "rival.ko").read_bytes()
            (directory / f"rival_{name}.ko").write_bytes(_renamed(data, name))
        packed = lzma.compress((directory / "hello.ko").read_bytes(), check=lzma.CHECK_CRC32)
        (directory / "hello.ko.xz").write_bytes(packed)
        with tarfile.open(self._work / "ko.tar.gz", "w:gz") as tar:
            for path in sorted(directory.iterdir()):
                tar.add(path, path.name)


def user_name(kind: str, license: License) -> str:
    """Module name of a symbol user under a license, without `.ko`."""
    return f"{kind}_{license.slug}"


def _unpack(archive: Path, directory: Path) -> None:
    """Write an archive's files into a new directory, without subdirectories."""
    directory.mkdir()
    with tarfile.open(archive) as tar:
        for member in tar:
            # Not extractall(filter=): Python 3.11.2 in Debian 12 lacks the argument.
            data = tar.extractfile(member) if member.isfile() else None
            if data is not None:
                (directory / Path(member.name).name).write_bytes(data.read())


def _line_naming(output: str, name: str) -> str:
    """modpost's output line that names a module, or an empty string. 7.3 prints the name with its path before the
    message."""
    named = re.compile(rf"^.*modpost: (?:.*[ /])?{re.escape(name)}(?:[ :]|$).*$", re.MULTILINE)
    match = named.search(output)
    return match[0].strip() if match else ""


def _renamed(data: bytes, name: str) -> bytes:
    """The rival's bytes with another exported name, no longer than the original."""
    from elftools.elf.elffile import ELFFile

    section = ELFFile(io.BytesIO(data)).get_section_by_name("__ksymtab_strings")
    if section is None:
        raise ValueError("the rival exports nothing")
    start, size = section["sh_offset"], section["sh_size"]
    strings = data[start : start + size]
    if strings.count(_RENAMED) != 1:
        raise ValueError(f"the rival exports {strings!r}")
    changed = strings.replace(_RENAMED, name.encode().ljust(len(_RENAMED), b"\0"))
    return data[:start] + changed + data[start + size :]
