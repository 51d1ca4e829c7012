# SPDX-License-Identifier: MIT
"""Build of the module for a kernel, with the compiler that built that kernel."""

from __future__ import annotations

import hashlib
import posixpath
import re
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from vmlab.catalogue.target import Architecture
from vmlab.decode import structure, unstructure
from vmlab.errors import BuildError, hides_frames, some
from vmlab.image.image import BUILD_DIRECTORY, Image
from vmlab.module.build_root import Place
from vmlab.module.built import Built as Built
from vmlab.module.built import BuiltTree, load_order, needed, parameters_for
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
from vmlab.module.inspect import inspect_module, require_fit
from vmlab.module.needs import Need, put_needs, symvers_of, take_symvers
from vmlab.module.source import UNSAFE_NAME, Source
from vmlab.module.steps import kernel_facts, prepare, require_allowed, why_empty
from vmlab.module.tree.confined import describe_confined
from vmlab.module.tree.describe import ABOVE_THE_TREE
from vmlab.module.tree.description import Description, Fact
from vmlab.module.tree.files import TreeFiles
from vmlab.settings import BuildPlace, CompilerPolicy, ModuleSettings
from vmlab.store.store import Store, StoredObject
from vmlab.text import one_line

__tracebackhide__ = hides_frames

_WARNING = re.compile(r"\bwarning: ", re.IGNORECASE)
_REVISION = 2
"""Raised when the layout of a stored build changes."""
_MOST_MODULES = 200
"""Number of modules that are taken out of a build: the largest collections of examples have about 50."""
_MOST_WARNINGS = 1000
"""Warnings that are kept: all targets' are in results.json. The build's log has the others."""
_LONGEST_WARNING = 500
"""Length in characters: a path, and a sentence of the compiler."""
_NAMES = "/build/.names"
"""Directory for a link with the kernel's name for the compiler, if the compiler is installed under another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """Facts that are stored with a cached build."""

    modules: tuple[str, ...]
    """Paths of the .ko files, relative to the tree's directory in the build and to `ko/` in the store."""
    has_symvers: bool
    kernel_compiler: Compiler
    compiler: Compiler
    match: Match
    warnings: tuple[str, ...]
    duration_s: float


def build_tree(
    source: Source,
    image: Image,
    place: Callable[[], Place],
    place_name: BuildPlace,
    store: Store,
    *,
    policy: CompilerPolicy,
    timeout_s: float,
    needs: Sequence[Need] = (),
) -> BuiltTree:
    """Return a tree's modules for an image's kernel, from the cache or built in the place that `place` opens.

    Raises `BuildError` when it does not compile (with the compiler's first error) or a .ko does not fit the kernel.
    Also raises it when the compiler's version differs from the kernel's and `policy` does not waive that.
    """
    inputs = {
        "source": source.digest,
        "name": source.name,
        "image": image.digest,
        "tools": image.tools_digest,
        "place": str(place_name),
        "policy": str(policy),
        "within": source.within,
        "stated": stated_inputs(source.stated),
        "needs": [need.tree.fingerprint for need in needs],
        "revision": _REVISION,
    }

    def build(work: Path) -> Mapping[str, Any]:
        opened = place()
        try:
            facts = _build(source, image, opened, work, policy=policy, timeout_s=timeout_s, needs=needs)
        finally:
            opened.close()
        return dict(unstructure(facts))

    built = _read(store.obtain("module", inputs, build), source, place_name, needs)
    for module in built.modules:
        require_fit(
            module.info,
            release=image.release,
            architecture=image.architecture,
            compiler_version=module.compiler.version,
            is_waived=policy is CompilerPolicy.WAIVE,
        )
    return built


def _read(stored: StoredObject, source: Source, place_name: BuildPlace, needs: Sequence[Need]) -> BuiltTree:
    facts = structure(stored.facts, _Facts, where=f"module {stored.digest}")
    infos = {name: inspect_module(stored.file(f"ko/{name}")) for name in facts.modules}
    paths = {info.name: name for name, info in infos.items()}
    root = f"{BUILD_DIRECTORY}/{source.build_name}"
    made: dict[str, Built] = {}
    others = {built.info.name: built for need in needs for built in need.tree.modules}
    for info in load_order(list(infos.values()), source.stated.modules):
        ko = stored.file(f"ko/{paths[info.name]}")
        before = needed(info, others | made)
        made[info.name] = Built(
            ko=ko,
            sha256=hashlib.sha256(ko.read_bytes()).hexdigest(),
            guest_path=f"{root}/{paths[info.name]}",
            info=info,
            kernel_compiler=facts.kernel_compiler,
            compiler=facts.compiler,
            match=facts.match,
            place=place_name,
            warnings=facts.warnings,
            log=stored.file("build.log"),
            duration_s=facts.duration_s,
            is_cached=not stored.is_new,
            root=root,
            needs=before,
            kernel_modules=tuple(name for name in info.loaded_before if name not in others | made),
            parameters=parameters_for(info.name, source.stated.parameters),
            firmware=source.firmware,
        )
    symvers = stored.file("Module.symvers") if facts.has_symvers else None
    return BuiltTree(name=source.name, modules=tuple(made.values()), symvers=symvers)


def _build(
    source: Source,
    image: Image,
    place: Place,
    work: Path,
    *,
    policy: CompilerPolicy,
    timeout_s: float,
    needs: Sequence[Need],
) -> _Facts:
    compiler = kernel_compiler(_kernel_config(place, image.release, timeout_s))
    found = find_compiler(compiler, image.architecture, place, timeout_s=timeout_s)
    if policy is CompilerPolicy.REFUSE:
        refuse_other_version(compiler, found)
    require_linker(compiler, found, place, timeout_s=timeout_s)
    place.put_tree(source, source.build_name)
    symbols = put_needs(place, source, needs)
    kernel = kernel_facts(image)
    description = describe_confined(TreeFiles(source), kernel, place, name=source.build_name)
    require_allowed(description, source, kernel, place, timeout_s=timeout_s)
    started = time.monotonic()
    log = prepare(description, source, kernel, place, timeout_s=timeout_s)
    output = ""
    for number, directory in enumerate(description.sources):
        _require_plain_directory(directory)
        name = posixpath.normpath(f"{source.build_name}/{directory.value}")
        exported = [*symbols, *symvers_of(source, description.sources[:number])]
        variables = {key: fact.value for key, fact in description.make.items()}
        variables |= {"KBUILD_EXTRA_SYMBOLS": " ".join(exported)} if exported else {}
        # Some Kbuild files name their headers by $(PWD), the directory in which a user types `make`.
        where = f"cd {shlex.quote(name)} && "
        command = f"{where}{make_command(name, image.release, compiler, found, variables=variables)}"
        outcome = place.run(command, timeout_s=timeout_s)
        log, output = f"{log}$ {command}\n{outcome.output}", output + outcome.output
        (work / "build.log").write_text(log, encoding="utf-8")
        if outcome.status != 0:
            failure = build_failure(source, image.release, outcome.output)
            failure.hint = failure.hint or _hint_of(description, failure.message)
            raise failure
    duration_s = time.monotonic() - started
    # NUL ends each name: a newline may be part of one.
    listing = place.run(f"find {shlex.quote(source.build_name)} -name '*.ko' -print0 2>/dev/null", timeout_s=timeout_s)
    names = _listed(listing.output, source)
    if not names:
        why, hint = why_empty(source, description, kernel)
        raise BuildError(f"the build of {source.name!r} made no .ko file{f': {why}' if why else ''}", hint=hint)
    for name in names:
        inner = name.removeprefix(f"{source.build_name}/")
        (work / "ko" / inner).parent.mkdir(parents=True, exist_ok=True)
        place.get(name, work / "ko" / inner)
    return _Facts(
        modules=tuple(name.removeprefix(f"{source.build_name}/") for name in names),
        has_symvers=take_symvers(place, source, description.sources, work / "Module.symvers"),
        kernel_compiler=compiler,
        compiler=found,
        match=compare(compiler, found),
        warnings=_warnings(output),
        duration_s=duration_s,
    )


def _require_plain_directory(directory: Fact[str]) -> None:
    """Raise `BuildError` for a directory that make would take for several words."""
    if UNSAFE_NAME.search(directory.value.replace("/", "")):
        raise BuildError(
            f"Kbuild cannot be called for a directory of this name: {directory.value!r} ({directory.origin})",
            hint="rename it: letters, digits, `-`, `_` and `.`",
        )


def _hint_of(description: Description, message: str) -> str:
    """Return what the description knows about a source that a failed build does not find."""
    above = [note for note in description.notes if note.endswith(ABOVE_THE_TREE)]
    return above[0] if above and "No such file" in message else ""


def stated_inputs(stated: ModuleSettings) -> Any:
    """Return what a build depends on of a tree's description. Pure."""
    return unstructure({name: getattr(stated, name) for name in ("source", "prepare", "make", "modules")})


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


def make_command(
    name: str, release: str, kernel: Compiler, found: Compiler, *, variables: Mapping[str, str] | None = None
) -> str:
    """Shell command that builds `/build/<name>` with the compiler found, under the kernel's name for it, and with
    make's `variables`.

    Kbuild compares the first line of `$CC --version`, which begins with the name that the compiler was called by. A
    link with the kernel's name for the same compiler avoids Kbuild's warning; another version keeps its name and the
    warning. For clang the command also sets its linker and the other LLVM tools.
    """
    is_other_name = found.name != kernel.name and compare(kernel, found) is not Match.OTHER_VERSION
    cc = kernel.name if is_other_name else found.name
    tools = llvm_arguments(found, release) if found.family == "clang" else f"CC={shlex.quote(cc)}"
    own = "".join(f"{key}={shlex.quote(text)} " for key, text in (variables or {}).items())
    make = f"make -j2 -C /lib/modules/{release}/build M=/build/{shlex.quote(name)} {tools} {own}modules"
    if not is_other_name or found.family == "clang":
        return make
    link = f'mkdir -p {_NAMES} && ln -sf "$(command -v {shlex.quote(found.name)})" {_NAMES}/{shlex.quote(cc)}'
    return f"{link} && PATH={_NAMES}:$PATH {make}"


def _kernel_config(place: Place, release: str, timeout_s: float) -> str:
    command = f"grep -h CONFIG_CC_VERSION_TEXT /lib/modules/{release}/build/.config /boot/config-{release} 2>/dev/null"
    return place.run(f"{command}; true", timeout_s=timeout_s).output


def _listed(listing: str, source: Source) -> list[str]:
    found = sorted(name for name in listing.split("\0") if name.endswith(".ko"))
    for name in found:
        _require_plain_name(name, source)
    if len(found) > _MOST_MODULES:
        names = some(Path(path).name for path in found)
        raise BuildError(
            f"{source.name!r} makes several modules: {names}; at most {_MOST_MODULES} are taken",
            hint="name fewer directories: source = [...] in vmlab.toml",
        )
    return found


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
