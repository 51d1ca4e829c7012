# SPDX-License-Identifier: MIT
"""Facts of one kernel, from its packages: one value for each key of the map (docs/api-map.md has the kinds of key)."""

from __future__ import annotations

import lzma
import multiprocessing
import os
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apimap import elf
from apimap.btf import Btf, InvalidBtf
from apimap.headers import Declared, declared_in
from apimap.options import Options, lacking

from vmlab.api.rows import Kind

Facts = dict[tuple[str, str], str]
"""Values by name and kind."""
MENTIONED = "?"
"""Kind of a name that the headers' code has, for `apimap.merge`; not in the map."""
_KERNEL = re.compile(r"(?:boot/vmlinuz-|usr/lib/modules/[^/]+/vmlinuz$)")
_MODULE = re.compile(r"lib/modules/[^/]+/kernel/(?P<path>.*)\.ko(?P<xz>\.xz)?$")
_HEADER = re.compile(
    r"usr/src/linux-headers-[^/]+/(?:arch/x86/include/(?:generated/)?|include/)(?:uapi/)?(?P<path>.*\.h)$"
)
# Numbers of registers, and names that an in-tree driver shares only with its own parts.
_NO_NAMES = re.compile(
    r"(?:dt-bindings|generated|config|soc|xen|kvm|misc|clocksource|uapi/misc|(?:linux/)?(?:mlx[45]|qed|fsl|rtsx|bcma|ssb|"
    r"habanalabs|surface_aggregator|avf|intel|soc|platform_data|mfd|net/intel|ufs|pds|cgx|octeontx2|firmware/xlnx|"
    r"firmware/imx|firmware/cirrus|fpga|hsi|maple|pxa|raid/pq|spi/sh))/|drm/(?:intel|bridge|amd)|"
    r"rdma/(?:bnxt|mlx|hns|irdma|efa)|sound/(?:acp|wm|cs|rt|sof|hda_reg|emu|tas|hdmi|ac97)|asm/(?:xen|uv|msr-index|intel)"
)
_SYMBOL = re.compile(r"0x[0-9a-f]+\t(?P<name>\S+)\t(?P<at>\S+)\tEXPORT\w*?(?P<gpl>_GPL)?(?:\t(?P<namespace>\S*))?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Names of types and constants that headers declare."""

    types: frozenset[str] = frozenset()
    constants: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Batch:
    """Files of one step, read from the packages."""

    modules: list[tuple[str, bytes]] = field(default_factory=list)
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def collect(image: Iterable[Path], headers: Sequence[Path], cloud: Sequence[Path], *, known: Names) -> Facts:
    """Return the facts of a kernel, from the files of its packages; 16 s on two idle cores.

    Of types and constants only those that its headers declare are kept; without headers, those in `known`.
    """
    symvers: dict[str, elf.Export] = {}
    at: dict[str, str] = {}
    options: dict[str, Options] = {}
    batch, kernel = _Batch(), b""
    for package in headers:
        for name, content in members(package, _is_of_headers):
            if name.endswith("/Module.symvers"):
                symvers, at = _symvers(content().decode())
            elif name.endswith("/.config"):
                options["generic"] = Options.parse(content().decode())
            elif (match := _HEADER.search(name)) is not None and not match["path"].startswith("config/"):
                batch.headers.append((match["path"], b"" if _NO_NAMES.match(match["path"]) else content()))
    exporting = set(at.values())
    for package in image:
        for name, content in members(package, lambda name: bool(_KERNEL.search(name) or _MODULE.search(name))):
            if (match := _MODULE.search(name)) is None:
                kernel = content()
            elif not exporting or match["path"] in exporting:
                batch.modules.append((match["path"] + (match["xz"] or ""), content()))
    facts = _parsed(kernel, batch, known)
    if symvers:
        _take_symvers(facts, symvers, at)
    for package in cloud:
        _take_cloud(facts, package, options.get("generic", Options()), at)
    return facts


def members(package: Path, is_wanted: Callable[[str], bool]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the wanted regular files of a .deb: name without `./`, and a function that reads it."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as unpacking:
        with tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if member.isreg() and is_wanted(name):
                    yield name, lambda member=member: archive.extractfile(member).read()  # type: ignore[misc,union-attr]
        unpacking.stdout.read()  # type: ignore[union-attr]


def _is_of_headers(name: str) -> bool:
    return name.endswith(("/Module.symvers", "/.config")) or _HEADER.search(name) is not None


def _symvers(text: str) -> tuple[dict[str, elf.Export], dict[str, str]]:
    """Return exports and exporting modules by name; Documentation/kbuild/modules.rst."""
    found, at = {}, {}
    for match in map(_SYMBOL.fullmatch, text.splitlines()):
        if match is not None:
            found[match["name"]] = elf.Export(
                name=match["name"], is_gpl=bool(match["gpl"]), namespace=match["namespace"] or ""
            )
            at[match["name"]] = match["at"]
    return found, at


_state: dict[str, Any] = {}
"""The kernel's types and the wanted names, for processes that are forked later."""


def _parsed(kernel: bytes, batch: _Batch, known: Names) -> Facts:
    """Read the files in as many processes as there are cores."""
    cores = len(os.sched_getaffinity(0))
    fork = multiprocessing.get_context("fork")
    facts: Facts = {}
    with fork.Pool(cores) as pool:
        pending = [pool.apply_async(_headers, (batch.headers[n::8],)) for n in range(8)] if batch.headers else []
        data = elf.unpacked_kernel(kernel)
        base = Btf(elf.sections(data)[".BTF"].content)
        for part in pending:
            _merge(facts, part.get())
    if batch.headers:
        known = names_in(facts)
        declared = {name for name, kind in facts if kind in (Kind.HEADER, Kind.MACRO, Kind.CONSTANT)}
        for name, kind in [key for key in facts if key[1] == MENTIONED and key[0] in declared]:
            del facts[name, kind]
    _state.update(base=base, known=known)
    with fork.Pool(cores) as pool:
        pending = [pool.apply_async(_modules, (batch.modules[n::8],)) for n in range(8)]
        _merge(facts, _of_object(data, base, "vmlinux"))
        for part in pending:
            _merge(facts, part.get())
    return facts


def names_in(facts: Iterable[tuple[str, str]]) -> Names:
    """Return the names of types and constants in facts."""
    found: dict[str, set[str]] = {Kind.TYPE: set(), Kind.CONSTANT: set()}
    for name, kind in facts:
        if kind in found:
            found[kind].add(name)
    return Names(types=frozenset(found[Kind.TYPE]), constants=frozenset(found[Kind.CONSTANT]))


def _merge(facts: Facts, more: Mapping[tuple[str, str], str]) -> None:
    for key, value in more.items():
        known = facts.get(key)
        if known is None:
            facts[key] = value
        elif key[1] == Kind.HEADER:
            facts[key] = _headers_joined(known, value)
        elif key[1] == Kind.PROTOTYPE and known.startswith("~"):
            facts[key] = value


def _headers_joined(known: str, more: str) -> str:
    """Join two lists of headers, each as `way:path,path`; inline and macro are the ways that modules can use."""
    (way, _, paths), (other, _, others) = known.partition(":"), more.partition(":")
    joined = sorted({*paths.split(","), *others.split(",")})[:3]
    return f"{min(way, other, key='mie'.index)}:{','.join(joined)}"


def _modules(files: Iterable[tuple[str, bytes]]) -> Facts:
    facts: Facts = {}
    for path, content in files:
        data = lzma.decompress(content) if path.endswith(".xz") else content
        if b"__ksymtab_strings" in data:
            found = elf.sections(data)
            try:
                own = Btf(found[".BTF"].content, _state["base"]) if ".BTF" in found else None
            except InvalidBtf:
                own = None
            _merge(facts, _of_object(data, own, path.removesuffix(".xz")))
    return facts


def _of_object(data: bytes, types: Btf | None, at: str) -> Facts:
    """Return the facts in a kernel or module: exports with their prototypes, structures and constants."""
    facts: Facts = {}
    exports = elf.exports(data)
    for export in exports:
        facts[export.name, Kind.EXPORT] = _shown_export(export, at)
    if types is None:
        return facts
    prototypes = types.functions()
    for export in exports:
        if export.name in prototypes:
            facts[export.name, Kind.PROTOTYPE] = types.prototype(prototypes[export.name])
    known: Names = _state["known"]
    for keyword, name, number in types.compounds():
        if name not in known.types:
            continue
        facts.setdefault((name, Kind.TYPE), keyword)
        if keyword in ("struct", "union") and (name, Kind.MEMBERS) not in facts:
            facts[name, Kind.MEMBERS] = keyword
            for member, kind in types.members(number):
                facts[f"{name}.{member}", Kind.MEMBER] = kind
    facts |= {(name, Kind.CONSTANT): "" for name in types.constants() if name in known.constants}
    return facts


def _shown_export(export: elf.Export, at: str) -> str:
    return f"{'gpl' if export.is_gpl else 'all'} {export.namespace or '-'} {at}"


def _headers(files: Iterable[tuple[str, bytes]]) -> Facts:
    facts: Facts = {}
    for path, content in files:
        found = declared_in(content.decode("utf-8", errors="replace"))
        _merge(facts, _of_header(path, found))
    return facts


def _of_header(path: str, found: Declared) -> Facts:
    facts: Facts = {(path, Kind.FILE): ""} | {(name, MENTIONED): "" for name in found.mentioned}
    for name, shown in found.prototypes.items():
        facts[name, Kind.PROTOTYPE] = f"~{shown}"
        facts[name, Kind.HEADER] = f"{'i' if name in found.inlines else 'e'}:{path}"
    for name, count in found.macros.items():
        facts[name, Kind.MACRO] = count
        if count != "-" and (name, Kind.HEADER) not in facts:
            facts[name, Kind.HEADER] = f"m:{path}"
    facts |= {(name, Kind.ALIAS): target for name, target in found.aliases.items()}
    facts |= {(name, Kind.CONSTANT): "" for name in found.constants}
    for name, keyword in found.types.items():
        facts[name, Kind.TYPE] = keyword
        facts.setdefault((name, Kind.HEADER), f"e:{path}")
    return facts


def _take_symvers(facts: Facts, symvers: Mapping[str, elf.Export], at: Mapping[str, str]) -> None:
    """Replace the exports by those of Module.symvers, which also has the modules that no package holds."""
    for key in [key for key in facts if key[1] == Kind.EXPORT]:
        del facts[key]
    for name, export in symvers.items():
        facts[name, Kind.EXPORT] = _shown_export(export, at[name])


def _take_cloud(facts: Facts, package: Path, generic: Options, at: Mapping[str, str]) -> None:
    exported: Mapping[str, elf.Export] = {}
    own = Options()
    for name, content in members(package, _is_of_headers):
        if name.endswith("/Module.symvers"):
            exported, _ = _symvers(content().decode())
        elif name.endswith("/.config"):
            own = Options.parse(content().decode())
    for symbol, place in at.items():
        if symbol not in exported:
            header = facts.get((symbol, Kind.HEADER), "").partition(":")[2].split(",")[0]
            facts[symbol, Kind.LACKING] = lacking(place, header, generic, own)
