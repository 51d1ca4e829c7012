# SPDX-License-Identifier: MIT
"""Choice of a kernel line's newest version from a distribution's index. Pure."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from vmlab.catalogue.target import Flavour, Target
from vmlab.errors import AssetError


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A row of a Packages file, with the fields that the lab reads."""

    name: str
    version: str
    depends: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPackages:
    """A complete kernel: image, headers and kbuild are available in matching versions."""

    release: str
    version: str
    image: str
    headers: str


_RELEVANT = re.compile(r"linux-(?:image|headers|kbuild)-\d")
_RELATION = re.compile(r"^\s*([a-z0-9][a-z0-9+.-]*)(?::\w+)?\s*(?:\(\s*([<>=]+)\s*([^)\s]+)\s*\))?")


_VERSION = re.compile(r"[0-9]{1,9}:[!-~]+|[!-9;-~]+")
_LONGEST = 256
"""Longest name or version; those of Debian have at most 100 characters."""
_HINT = "set another mirror with --vmlab-mirror URL"
# The old `<` and `>` mean `<=` and `>=` to dpkg.
_COMPARE = {
    "=": operator.eq,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.ge,
    "<": operator.le,
    ">>": operator.gt,
    "<<": operator.lt,
}


def parse_packages(text: str, names: Iterable[str] = ()) -> Iterator[Package]:
    """Yield the kernel packages of a Packages file, and the packages in `names`; deb-control(5)."""
    wanted = frozenset(names)
    for stanza in text.split("\n\n"):
        head = stanza.lstrip("\n")
        if not head.startswith("Package: "):
            continue
        name = head[9 : head.index("\n")] if "\n" in head else head[9:]
        if name not in wanted and (len(name) > _LONGEST or not _RELEVANT.match(name)):
            continue
        fields = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line and not line.startswith(" "))
        yield Package(name=name, version=fields.get("Version", ""), depends=fields.get("Depends", ""))


def newest_kernel(target: Target, packages: Iterable[Package]) -> KernelPackages:
    """Return the newest kernel of the target's line and flavour with image, headers and kbuild all in the index.

    Backports and security suites often keep images without their headers: those are skipped. Raises `AssetError`
    listing the complete lines when this one is not complete.
    """
    by_name: dict[str, list[Package]] = {}
    for package in packages:
        by_name.setdefault(package.name, []).append(package)
    whole = [kernel for kernel in _kernels(target.release_pattern, by_name) if _is_whole(kernel, by_name)]
    if not whole:
        lines = lines_with_headers(by_name, target.flavour, target.architecture)
        raise AssetError(
            f"no kernel of line {target.line} ({target.flavour}) with image, headers and kbuild in "
            f"{', '.join(target.pockets)}",
            hint=f"available lines: {', '.join(lines) or 'none'}",
        )
    return max(whole, key=lambda kernel: version_key(kernel.version))


def lines_with_headers(by_name: Mapping[str, list[Package]], flavour: Flavour, architecture: str) -> list[str]:
    """Return every complete kernel line of that flavour, oldest first."""
    suffix = {Flavour.CLOUD: "-cloud", Flavour.GENERIC: "", Flavour.RT: "-rt"}[flavour]
    pattern = re.compile(rf"^(\d+\.\d+)\.[0-9a-z.+~-]*?(?<!-cloud)(?<!-rt){suffix}-{architecture}$")
    lines = {
        match[1]
        for kernel in _kernels(pattern, by_name)
        if (match := pattern.match(kernel.release)) and _is_whole(kernel, by_name)
    }
    return sorted(lines, key=lambda line: [int(part) for part in line.split(".")])


def _kernels(pattern: re.Pattern[str], by_name: Mapping[str, list[Package]]) -> Iterator[KernelPackages]:
    for name, versions in by_name.items():
        release = name.removeprefix("linux-headers-")
        if release == name or not pattern.match(release):
            continue
        for headers in versions:
            yield KernelPackages(
                release=release, version=headers.version, image=f"linux-image-{release}", headers=headers.name
            )


def _is_whole(kernel: KernelPackages, by_name: Mapping[str, list[Package]]) -> bool:
    images = by_name.get(kernel.image, [])
    if not any(image.version == kernel.version for image in images):
        return False
    headers = next(row for row in by_name[kernel.headers] if row.version == kernel.version)
    return all(_is_satisfied(relation, by_name) for relation in headers.depends.split(",") if relation.strip())


def _is_satisfied(relation: str, by_name: Mapping[str, list[Package]]) -> bool:
    """True if one dependency is satisfied; only kernel packages are checked, apt resolves the others."""
    for alternative in relation.split("|"):
        match = _RELATION.match(alternative)
        if match is None or not _RELEVANT.match(match[1]):
            return True
        name, sign, wanted = match.groups()
        for row in by_name.get(name, []):
            if sign is None or _compare(row.version, sign, wanted):
                return True
    return False


def _compare(version: str, sign: str, wanted: str) -> bool:
    if sign not in _COMPARE:
        raise AssetError(f"the package index has an invalid relation: {sign[:_LONGEST]!r}", hint=_HINT)
    return bool(_COMPARE[sign](version_key(version), version_key(wanted)))


@functools.total_ordering
class _Word:
    """A part of a Debian version without digits: letters sort before other characters, `~` before the end."""

    def __init__(self, text: str) -> None:
        self.order = [-1 if c == "~" else ord(c) if c.isalpha() else ord(c) + 256 for c in text] + [0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Word) and self.order == other.order

    def __lt__(self, other: _Word) -> bool:
        return self.order < other.order

    def __hash__(self) -> int:
        return hash(tuple(self.order))


def version_key(version: str) -> tuple[object, ...]:
    """Return a sort key for Debian versions, by the rules of deb-version(7). Raises `AssetError` for an invalid one."""
    if len(version) > _LONGEST or not _VERSION.fullmatch(version):
        raise AssetError(f"the package index has an invalid version: {version[:_LONGEST]!r}", hint=_HINT)
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
    return (int(epoch), *_part_key(upstream), *_part_key(revision))


def _part_key(part: str) -> tuple[object, ...]:
    pieces = re.findall(r"(\D*)(\d*)", part)
    return ((*((_Word(word), int(number or 0)) for word, number in pieces if word or number), (_Word(""), 0)),)
