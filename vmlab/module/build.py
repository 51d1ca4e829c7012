# SPDX-License-Identifier: MIT
"""Build of the module for a kernel, with the compiler that built that kernel."""

from __future__ import annotations

import hashlib
import re
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from vmlab.catalogue.target import Architecture
from vmlab.decode import structure, unstructure
from vmlab.errors import BuildError, hides_frames, some
from vmlab.image.image import BUILD_DIRECTORY, Image
from vmlab.module.build_root import Place
from vmlab.module.compiler import (
    Compiler,
    Match,
    candidates,
    compare,
    kernel_compiler,
    linker_of,
    llvm_arguments,
    parse_compiler,
    refuse_other_version,
)
from vmlab.module.failure import build_failure, program_failure
from vmlab.module.inspect import ModuleInfo, inspect_module, require_fit
from vmlab.module.source import Source
from vmlab.settings import BuildPlace, CompilerPolicy
from vmlab.store.store import Store, StoredObject
from vmlab.text import one_line

__tracebackhide__ = hides_frames

_WARNING = re.compile(r"\bwarning: ", re.IGNORECASE)
_MOST_WARNINGS = 1000
"""Warnings that are kept: all targets' are in results.json. The build's log has the others."""
_LONGEST_WARNING = 500
"""Length in characters: a path, and a sentence of the compiler."""
_NAMES = "/build/.names"
"""Directory for a link with the kernel's name for the compiler, if the compiler is installed under another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A module built for one kernel."""

    ko: Path
    sha256: str
    guest_path: str
    """Path of the .ko in a guest, after a build there or a copy."""
    info: ModuleInfo
    kernel_compiler: Compiler
    compiler: Compiler
    match: Match
    place: BuildPlace
    warnings: tuple[str, ...]
    log: Path
    duration_s: float
    """Seconds that the build took, also if the module is from the cache."""
    is_cached: bool

    @property
    def directory(self) -> str:
        """Build directory, as named in the debug information."""
        return str(PurePosixPath(self.guest_path).parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """Facts that are stored with a cached build."""

    ko: str
    kernel_compiler: Compiler
    compiler: Compiler
    match: Match
    warnings: tuple[str, ...]
    duration_s: float


def build_module(
    source: Source,
    image: Image,
    place: Callable[[], Place],
    place_name: BuildPlace,
    store: Store,
    *,
    policy: CompilerPolicy,
    timeout_s: float,
) -> Built:
    """Return the module for an image's kernel, from the cache or built in the place that `place` opens.

    Raises `BuildError` when it does not compile (with the compiler's first error) or the .ko does not fit the kernel.
    Also raises it when the compiler's version differs from the kernel's and `policy` does not waive that.
    """
    inputs = {
        "source": source.digest,
        "name": source.name,
        "image": image.digest,
        "place": str(place_name),
        "policy": str(policy),
    }

    def build(work: Path) -> Mapping[str, Any]:
        opened = place()
        try:
            facts = _build(source, image, opened, work, policy=policy, timeout_s=timeout_s)
        finally:
            opened.close()
        return dict(unstructure(facts))

    built = _read(store.obtain("module", inputs, build), source, place_name)
    is_waived = policy is CompilerPolicy.WAIVE
    require_fit(
        built.info,
        release=image.release,
        architecture=image.architecture,
        compiler_version=built.compiler.version,
        is_waived=is_waived,
    )
    return built


def _read(stored: StoredObject, source: Source, place_name: BuildPlace) -> Built:
    facts = structure(stored.facts, _Facts, where=f"module {stored.digest}")
    ko = stored.file(facts.ko)
    return Built(
        ko=ko,
        sha256=hashlib.sha256(ko.read_bytes()).hexdigest(),
        guest_path=f"{BUILD_DIRECTORY}/{source.build_name}/{ko.name}",
        info=inspect_module(ko),
        kernel_compiler=facts.kernel_compiler,
        compiler=facts.compiler,
        match=facts.match,
        place=place_name,
        warnings=facts.warnings,
        log=stored.file("build.log"),
        duration_s=facts.duration_s,
        is_cached=not stored.is_new,
    )


def _build(
    source: Source, image: Image, place: Place, work: Path, *, policy: CompilerPolicy, timeout_s: float
) -> _Facts:
    kernel = kernel_compiler(_kernel_config(place, image.release, timeout_s))
    found = find_compiler(kernel, image.architecture, place, timeout_s=timeout_s)
    if policy is CompilerPolicy.REFUSE:
        refuse_other_version(kernel, found)
    require_linker(kernel, found, place, timeout_s=timeout_s)
    place.put_tree(source, source.build_name)
    command = make_command(source.build_name, image.release, kernel, found)
    started = time.monotonic()
    outcome = place.run(command, timeout_s=timeout_s)
    duration_s = time.monotonic() - started
    (work / "build.log").write_text(f"$ {command}\n{outcome.output}", encoding="utf-8")
    if outcome.status != 0:
        raise build_failure(source, image.release, outcome.output)
    # NUL ends each name: a newline may be part of one.
    listing = place.run(f"find {shlex.quote(source.build_name)} -name '*.ko' -print0 2>/dev/null", timeout_s=timeout_s)
    ko = _pick(listing.output, source)
    place.get(ko, work / Path(ko).name)
    return _Facts(
        ko=Path(ko).name,
        kernel_compiler=kernel,
        compiler=found,
        match=compare(kernel, found),
        warnings=_warnings(outcome.output),
        duration_s=duration_s,
    )


def _warnings(output: str) -> tuple[str, ...]:
    told = (line for line in output.split("\n") if _WARNING.search(line))
    return tuple(one_line(line, longest=_LONGEST_WARNING) for line in islice(told, _MOST_WARNINGS))


def find_compiler(kernel: Compiler, architecture: Architecture, place: Place, *, timeout_s: float) -> Compiler:
    """Find the compiler in a place that is most like the kernel's; raises `BuildError` when there is none."""
    names = " ".join(map(shlex.quote, candidates(kernel, architecture)))
    probe = (
        f'for cc in {names}; do command -v "$cc" >/dev/null && printf "%s\\t%s\\n" "$cc" '
        '"$("$cc" --version | head -n 1)"; done; true'
    )
    lines = [line.rpartition("\t") for line in place.run(probe, timeout_s=timeout_s).output.splitlines() if line]
    found = [parse_compiler(text, called=called) for called, _, text in lines]
    if not found:
        raise BuildError(f"no compiler found, tried: {names}", hint=f"the kernel was built by {kernel.text!r}")
    order = list(Match)
    return min(found, key=lambda compiler: order.index(compare(kernel, compiler)))


def require_linker(kernel: Compiler, found: Compiler, place: Place, *, timeout_s: float) -> None:
    """Raise `BuildError` when the linker of a clang is missing in the place."""
    linker = linker_of(found)
    if linker and place.run(f"command -v {shlex.quote(linker)}", timeout_s=timeout_s).status != 0:
        raise BuildError(
            f"{linker} is missing for {found.name}: the kernel was built by {kernel.text!r}",
            hint=f"install {linker.removeprefix('ld.')} in the image",
        )


def make_command(name: str, release: str, kernel: Compiler, found: Compiler) -> str:
    """Shell command that builds `/build/<name>` with the compiler found, under the kernel's name for it.

    Kbuild compares the first line of `$CC --version`, which begins with the name that the compiler was called by. A
    link with the kernel's name for the same compiler avoids Kbuild's warning; another version keeps its name and the
    warning. For clang the command also sets its linker and the other LLVM tools.
    """
    is_other_name = found.name != kernel.name and compare(kernel, found) is not Match.OTHER_VERSION
    cc = kernel.name if is_other_name else found.name
    tools = llvm_arguments(found, release) if found.family == "clang" else f"CC={shlex.quote(cc)}"
    make = f"make -j2 -C /lib/modules/{release}/build M=/build/{shlex.quote(name)} {tools} modules"
    if not is_other_name or found.family == "clang":
        return make
    link = f'mkdir -p {_NAMES} && ln -sf "$(command -v {shlex.quote(found.name)})" {_NAMES}/{shlex.quote(cc)}'
    return f"{link} && PATH={_NAMES}:$PATH {make}"


def _kernel_config(place: Place, release: str, timeout_s: float) -> str:
    command = f"grep -h CONFIG_CC_VERSION_TEXT /lib/modules/{release}/build/.config /boot/config-{release} 2>/dev/null"
    return place.run(f"{command}; true", timeout_s=timeout_s).output


def _pick(listing: str, source: Source) -> str:
    found = sorted(name for name in listing.split("\0") if name.endswith(".ko"))
    for name in found:
        _require_plain_name(name, source)
    if not found:
        raise BuildError(
            f"the build of {source.name!r} made no .ko file", hint="add a line `obj-m := NAME.o` to its Kbuild file"
        )
    if len(found) == 1:
        return found[0]
    named = [path for path in found if Path(path).stem.replace("-", "_") == source.build_name.replace("-", "_")]
    if len(named) == 1:
        return named[0]
    names = some(Path(path).name for path in found)
    raise BuildError(f"{source.name!r} makes several modules: {names}", hint="name the tested one like its directory")


def _require_plain_name(name: str, source: Source) -> None:
    """Raise `BuildError` for a name that a build chose to be read as another one."""
    is_inside = name.startswith(f"{source.build_name}/") and ".." not in PurePosixPath(name).parts
    if not is_inside or not name.isprintable() or "\ufffd" in name:
        raise BuildError(
            f"the build of {source.name!r} made a module with an invalid name: {name[:200]!r}",
            hint="use letters, digits, `-` and `_` in the names of modules",
        )


def compile_program(tree: Source, main: str, image: Image, place: Place, local: Path, *, timeout_s: float) -> None:
    """Compile the C program `main` for a guest; it may include the other files of `tree`."""
    place.put_tree(tree, "program")
    command = f"gcc -std=gnu11 -O2 -Wall -Wextra -pthread -o program/out program/{shlex.quote(main)}"
    outcome = place.run(command, timeout_s=timeout_s)
    if outcome.status != 0:
        raise program_failure(tree, main, image.target_id, outcome.output)
    place.get("program/out", local)
    local.chmod(0o755)
