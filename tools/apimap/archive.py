# SPDX-License-Identifier: MIT
"""Kernel packages of the archives: the newest of each line, in the pockets of vmlab's targets, by a private apt.

apt checks the signature of each index and the digest of each package. It needs a Debian host whose keyring has the keys
of all suites.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vmlab.catalogue.matrix import load_matrix
from vmlab.catalogue.target import Architecture
from vmlab.image.debian_index import version_key
from vmlab.image.mirrors import find_mirrors

ARCHITECTURE = str(Architecture.AMD64)
_KERNEL = re.compile(
    r"linux-(?P<part>image|modules|binary|base|headers)-(?P<release>(?P<line>\d+\.\d+)\.[0-9][\w.+~-]*?)"
    rf"(?P<cloud>-cloud)?(?:-(?P<common>common)|-{ARCHITECTURE})"
)
_TIMEOUT_S = 1800


class ArchiveFault(Exception):
    """apt failed, or a line is not in the archives; the text is for the user."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Deb:
    """One package of a kernel, in one version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The packages of the newest kernel of a line."""

    line: str
    version: str
    """Debian's version of the image, `6.12.118-1`."""
    image: tuple[Deb, ...]
    """Packages with the kernel, its modules and its configuration."""
    headers: tuple[Deb, ...]
    """Packages with the headers of the generic flavour, and those of all; empty if the archives have none."""
    cloud: tuple[Deb, ...]
    """Package with the export list of the cloud flavour; empty without headers."""


def newest_kernels(stanzas: Iterable[Mapping[str, str]]) -> list[Kernel]:
    """Return the newest kernel of each line, oldest line first: the newest with headers, else the newest. Pure."""
    known: dict[tuple[str, str, str], dict[str, Deb]] = {}
    for stanza in stanzas:
        match = _KERNEL.fullmatch(stanza["Package"])
        if match is not None:
            part = "common" if match["common"] else f"{match['part']}{match['cloud'] or ''}"
            key = (match["line"], match["release"], stanza["Version"])
            known.setdefault(key, {})[part] = Deb(name=stanza["Package"], version=stanza["Version"])
    best: dict[str, tuple[tuple[bool, object], Kernel]] = {}
    for (line, _, version), parts in known.items():
        if "image" not in parts:
            continue
        image = tuple(parts[part] for part in ("image", "binary", "modules", "base") if part in parts)
        has_headers = {"headers", "headers-cloud", "common"} <= parts.keys()
        kernel = Kernel(
            line=line,
            version=version,
            image=image,
            headers=(parts["headers"], parts["common"]) if has_headers else (),
            cloud=(parts["headers-cloud"],) if has_headers else (),
        )
        rank = (has_headers, version_key(version))
        if line not in best or rank > best[line][0]:
            best[line] = (rank, kernel)
    return [best[line][1] for line in sorted(best, key=lambda line: [int(part) for part in line.split(".")])]


class Archive:
    """A private apt below `directory`; the host's own is not changed."""

    def __init__(self, directory: Path, *, mirror: str = "") -> None:
        """Write its sources; `mirror` is vmlab's setting of that name. Downloads nothing yet."""
        self._directory = directory
        for folder in ("lists/partial", "cache/archives/partial"):
            (directory / folder).mkdir(parents=True, exist_ok=True)
        mirrors = find_mirrors(mirror)
        sources = [mirrors.source_line(pocket) for pocket in pockets()]
        (directory / "sources.list").write_text("\n".join(sources) + "\n", encoding="utf-8")
        (directory / "auth.conf").write_text(mirrors.logins, encoding="utf-8")
        (directory / "auth.conf").chmod(0o600)

    def stanzas(self) -> Iterator[dict[str, str]]:
        """Read the indices again, and yield the fields of each kernel package."""
        self._apt("update")
        for path in sorted((self._directory / "lists").glob("*_Packages")):
            yield from parse_stanzas(path.read_text(encoding="utf-8", errors="replace"))

    def download(self, debs: Iterable[Deb], to: Path) -> list[Path]:
        """Download packages that `to` lacks, and return their paths in the same order."""
        to.mkdir(parents=True, exist_ok=True)
        paths = []
        for deb in debs:
            pattern = f"{deb.name}_{deb.version.replace(':', '%3a')}_*.deb"
            if not list(to.glob(pattern)):
                self._apt("download", f"{deb.name}={deb.version}", cwd=to)
            paths.append(next(to.glob(pattern)))
        return paths

    def _apt(self, *words: str, cwd: Path | None = None) -> None:
        own = self._directory
        options = {
            "Dir::State::lists": own / "lists",
            "Dir::Cache": own / "cache",
            "Dir::Etc::sourcelist": own / "sources.list",
            "Dir::Etc::sourceparts": "-",
            "Dir::Etc::netrc": own / "auth.conf",
            "APT::Architecture": ARCHITECTURE,
            "APT::Sandbox::User": "root",
            "Acquire::GzipIndexes": "false",
            "Acquire::Languages": "none",
            "Acquire::Check-Valid-Until": "false",
        }
        argv = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in options.items()), *words]
        done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        if done.returncode != 0 or "\nE: " in done.stderr or "\nW: GPG error" in done.stderr:
            raise ArchiveFault(f"apt-get {words[0]} failed: {(done.stderr or done.stdout).strip()[-600:]}")


def pockets() -> tuple[str, ...]:
    """Return the archive suites of all targets that are built from Debian's packages on amd64."""
    targets = [target for target in load_matrix().targets if target.cloud is None]
    return tuple(dict.fromkeys(pocket for target in targets for pocket in (*target.suite.pockets, *target.pockets)))


def parse_stanzas(text: str) -> Iterator[dict[str, str]]:
    """Yield name and version of each kernel package in a Packages file; deb-control(5)."""
    for match in re.finditer(r"^Package: (linux-\S+)\n(?:[^\n]+\n)*?Version: (\S+)$", text, re.MULTILINE):
        yield {"Package": match[1], "Version": match[2]}
