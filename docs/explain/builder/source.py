# SPDX-License-Identifier: MIT
"""Links to a statement's sources: the kernel's source at a release, one of its commits, a manual page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from vmlab.errors import UsageError

_HOSTS = (
    "docs.kernel.org",
    "www.qemu.org",
    "git.kernel.org",
    "man7.org",
    "gcc.gnu.org",
    "salsa.debian.org",
    "wiki.debian.org",
    "askubuntu.com",
)
_MODULE_DIRECTORY, _MODULE_FILE, _MODULE_SPLIT = "kernel/module/", "kernel/module.c", (5, 19)
"""kernel/module.c became a directory with commit cfc1d277891e and later ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source, one of: `file` (with `symbol`), `commit` (with the first release that has it), or `page`."""

    file: str = ""
    """Path in the newest kernel's tree."""
    symbol: str = ""
    """Symbol to look for in the file."""
    release: str = ""
    """A release such as `6.12`; empty for a file: every kernel on the page."""
    commit: str = ""
    subject: str = ""
    """A commit's first line, or a page's title."""
    page: str = ""
    since: str = ""
    before: str = ""
    """For a file: `since` and `before` limit the kernel lines that have it there."""

    def __post_init__(self) -> None:
        if sum(map(bool, (self.file, self.commit, self.page))) != 1:
            raise ValueError("a source is one of file, commit or page")
        for line in filter(None, (self.release, self.since, self.before)):
            line_of(line)
        if self.file and not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", self.file):
            raise ValueError(f"not a path in the kernel's tree: {self.file!r}")
        if self.commit and not (re.fullmatch(r"[0-9a-f]{12,40}", self.commit) and self.release and self.subject):
            raise ValueError(f"a commit needs 12 hex digits, a release and its subject: {self.commit!r}")
        if self.page and not (self.page.startswith(tuple(f"https://{host}/" for host in _HOSTS)) and self.subject):
            raise ValueError(f"a page needs a subject and one of the hosts {', '.join(_HOSTS)}: {self.page!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Text and URL of a link."""

    word: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A source as shown on the page: a description, and a link for each release."""

    title: str
    links: tuple[Link, ...]


def place_of(source: Source, names: tuple[str, ...]) -> Place:
    """A source's links; `names` are the lines of the kernels on the page, oldest first."""
    if source.commit:
        url = f"https://git.kernel.org/linus/{source.commit}"
        return Place(title=source.subject, links=(Link(word=f"{source.commit[:12]} (v{source.release})", url=url),))
    if source.page:
        return Place(title=source.subject, links=(Link(word=source.page.split("/")[2], url=source.page),))
    lines = [name for name in names if _is_meant(source, name)] if not source.release else [source.release]
    if not lines:
        raise UsageError(f"source {source.file}: no kernel on the page is meant")
    files = ", ".join(dict.fromkeys(_file_in(source.file, line) for line in lines))
    title = f"{source.symbol} · {files}" if source.symbol else files
    return Place(title=title, links=tuple(Link(word=f"v{line}", url=_url(source, line)) for line in lines))


def line_of(name: str) -> tuple[int, int]:
    """(6, 12) for `6.12`."""
    found = re.fullmatch(r"(\d+)\.(\d+)", name)
    if found is None:
        raise ValueError(f"not a kernel's line: {name!r}; such as 6.12")
    return int(found[1]), int(found[2])


def is_between(line: tuple[int, int], *, since: str, before: str) -> bool:
    """True if a kernel line is in the range from `since` (inclusive) to `before` (exclusive); empty means no limit."""
    return (not since or line >= line_of(since)) and (not before or line < line_of(before))


def _is_meant(source: Source, name: str) -> bool:
    return is_between(line_of(name), since=source.since, before=source.before)


def _file_in(file: str, name: str) -> str:
    """Path in a release of a file named as in the newest kernels."""
    return _MODULE_FILE if file.startswith(_MODULE_DIRECTORY) and line_of(name) < _MODULE_SPLIT else file


def _url(source: Source, name: str) -> str:
    if source.symbol:
        return f"https://elixir.bootlin.com/linux/v{name}/A/ident/{quote(source.symbol)}"
    path = _file_in(source.file, name)
    return f"https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/{path}?h=v{name}"
