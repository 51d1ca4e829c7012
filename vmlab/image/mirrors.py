# SPDX-License-Identifier: MIT
"""Mirrors of Debian's packages: the user's setting, else the host's mirrors, else mmdebstrap's default."""

from __future__ import annotations

from dataclasses import dataclass

from vmlab.errors import HostError
from vmlab.settings import StaleIndex
from vmlab.system.process import find_program, run


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors:
    """The URLs of Debian's main and security archives."""

    main: str
    security: str

    def source_line(self, pocket: str) -> str:
        """Return a pocket as a one-line entry of sources.list(5)."""
        url = self.security if pocket.endswith("-security") else self.main
        return f"deb {url} {pocket} main"


def index_options(stale: StaleIndex) -> list[str]:
    """Return mmdebstrap's options for a mirror that may be frozen; apt.conf(5), Acquire::Check-Valid-Until."""
    return ['--aptopt=Acquire::Check-Valid-Until "false"'] if stale is StaleIndex.ACCEPT else []


def find_mirrors(named: str) -> Mirrors:
    """Return the mirrors to use. `named` is the setting: a URL, or main and security URLs separated by a comma."""
    if named:
        main, _, security = named.partition(",")
        main = main.rstrip("/")
        return Mirrors(main=main, security=security.rstrip("/") or f"{main}-security")
    return _of_the_host() or _of_mmdebstrap()


def _of_the_host() -> Mirrors | None:
    """Return a Debian host's mirrors, as apt lists them; None on any other host."""
    if find_program("apt-get") is None:
        return None
    fields = "$(LABEL)|$(REPO_URI)"
    listed = run(["apt-get", "indextargets", "--format", fields, "Created-By: Packages"], timeout_s=60)
    return _by_label(tuple(line.partition("|")[::2]) for line in listed.output.splitlines()) if listed.ok else None


def _by_label(rows: object) -> Mirrors | None:
    found: dict[str, str] = {}
    for label, url in rows:  # type: ignore[attr-defined]
        found.setdefault(label, url.rstrip("/"))
    if "Debian" not in found:
        return None
    main = found["Debian"]
    return Mirrors(main=main, security=found.get("Debian-Security", f"{main}-security"))


def _of_mmdebstrap() -> Mirrors:
    """Return mmdebstrap's default: it writes sources.list for a stable release before it uses the network."""
    show = 'sed "s/^/source: /" "$1"/etc/apt/sources.list >&2'
    argv = ["mmdebstrap", "--variant=custom", "--skip=update", "--format=null", f"--customize-hook={show}"]
    shown = run([*argv, "bookworm", "/dev/null"], timeout_s=120)
    urls = []
    for line in shown.output.splitlines():
        words = [word for word in line.partition("source: ")[2].split() if "://" in word]
        urls += words[:1]
    if not urls:
        raise HostError(
            "no Debian mirror is known on this host", hint="set one with --vmlab-mirror URL", detail=shown.tail
        )
    security = [url for url in urls if "security" in url]
    return Mirrors(main=urls[0].rstrip("/"), security=(security or [f"{urls[0]}-security"])[0].rstrip("/"))
