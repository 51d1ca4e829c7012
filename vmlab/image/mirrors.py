# SPDX-License-Identifier: MIT
"""Mirrors of Debian's packages: the user's setting, else the host's mirrors, else mmdebstrap's default."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from vmlab.errors import HostError
from vmlab.settings import StaleIndex
from vmlab.system.process import find_program, run

_LOGINS = "mirror-login.conf"
_IN_ROOT = "/etc/apt/auth.conf.d/vmlab.conf"
REMOVE_LOGINS = f'--customize-hook=rm -f "$1{_IN_ROOT}"'
"""mmdebstrap's option that removes the logins after the last use of the network, before the root is packed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors:
    """The URLs of Debian's main and security archives, without user and password."""

    main: str
    security: str
    logins: str = field(default="", repr=False)
    """Users and passwords as in apt_auth.conf(5); empty if the archives need none."""

    @contextlib.contextmanager
    def login_options(self, directory: Path) -> Iterator[list[str]]:
        """Yield mmdebstrap's options that let apt log in during a build in `directory`, for a `with` block.

        The password is in no argument, sources.list, log or image: it is in a private file, which is removed.
        """
        if not self.logins:
            yield []
            return
        file = directory / _LOGINS
        try:
            file.touch(0o600, exist_ok=False)
            file.write_text(self.logins, encoding="utf-8")
            yield [
                # `upload` keeps the mode of a file that exists.
                f'--setup-hook=umask 077; mkdir -p "$1/etc/apt/auth.conf.d"; : >"$1{_IN_ROOT}"',
                f"--setup-hook=upload {_LOGINS} {_IN_ROOT}",
            ]
        finally:
            file.unlink(missing_ok=True)

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
        return _mirrors(main, security.rstrip("/") or f"{main}-security")
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
    return _mirrors(main, found.get("Debian-Security", f"{main}-security"))


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
    return _mirrors(urls[0].rstrip("/"), (security or [f"{urls[0]}-security"])[0].rstrip("/"))


def _mirrors(main: str, security: str) -> Mirrors:
    """Separate the URLs from the users and passwords in them."""
    logins = "".join(dict.fromkeys(map(_login, (main, security))))
    return Mirrors(main=_without_user(main), security=_without_user(security), logins=logins)


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return url.replace(f"//{parts.netloc}", f"//{parts.netloc.rpartition('@')[2]}", 1) if "@" in parts.netloc else url


def _login(url: str) -> str:
    """Return a line of apt_auth.conf(5) for a URL with a user; without the scheme it would match only https."""
    parts = urlsplit(url)
    if parts.username is None:
        return ""
    host = parts.netloc.rpartition("@")[2]
    password = f" password {unquote(parts.password)}" if parts.password else ""
    return f"machine {parts.scheme}://{host} login {unquote(parts.username)}{password}\n"
