# SPDX-License-Identifier: MIT
"""Read the kernels that appeared in the archives since, and write images/api/amd64.map again.

`python tools/apimap/refresh.py` on a Debian host with zstd. It downloads 20 to 170 MB for each kernel, and keeps the
lines that the archives no longer have. The same packages give the same rows.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from apimap.archive import Archive, ArchiveFault, Kernel, newest_kernels  # noqa: E402
from apimap.collect import Facts, Names, collect, names_in  # noqa: E402
from apimap.merge import facts_of, rows_of  # noqa: E402

from vmlab.api.map_file import Line, map_bytes, read_map  # noqa: E402
from vmlab.errors import VmlabError  # noqa: E402

MAP = ROOT / "images/api/amd64.map"


def refresh(archive: Archive, path: Path, debs: Path, *, is_kept: bool, is_all: bool) -> list[str]:
    """Bring a map up to date, and return the lines that were read again."""
    known = read_map(path) if path.exists() and not is_all else None
    lines = {line.line: line for line in known.lines} if known is not None else {}
    facts = facts_of(known) if known is not None else {}
    kernels = [kernel for kernel in newest_kernels(archive.stanzas()) if _is_news(kernel, lines.get(kernel.line))]
    # Those with headers first: they say which types and constants the others are searched for.
    for kernel in sorted(kernels, key=lambda kernel: not kernel.headers):
        facts[kernel.line] = _read(kernel, archive, debs, _names_of(facts), is_kept=is_kept)
        lines[kernel.line] = Line(
            line=kernel.line,
            version=kernel.version,
            has_headers=bool(kernel.headers),
            has_modules=bool(kernel.headers) or _has_modules(kernel),
        )
    if kernels:
        ordered = sorted(lines.values(), key=lambda line: [int(part) for part in line.line.split(".")])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(map_bytes(ordered, rows_of(ordered, facts)))
    return [kernel.line for kernel in kernels]


def _is_news(kernel: Kernel, known: Line | None) -> bool:
    if known is None:
        return True
    return kernel.version != known.version and (bool(kernel.headers) or not known.has_headers)


def _has_modules(kernel: Kernel) -> bool:
    """True if the modules are in a package of their own, or in the image of a kernel from before that was split."""
    names = [deb.name for deb in kernel.image]
    return any(name.startswith("linux-modules-") for name in names) or len(names) == 1


def _names_of(facts: dict[str, Facts]) -> Names:
    found = [names_in(part) for part in facts.values()]
    return Names(
        types=frozenset().union(*(names.types for names in found)),
        constants=frozenset().union(*(names.constants for names in found)),
    )


def _read(kernel: Kernel, archive: Archive, debs: Path, names: Names, *, is_kept: bool) -> Facts:
    image, headers, cloud = (archive.download(group, debs) for group in (kernel.image, kernel.headers, kernel.cloud))
    started = time.monotonic()
    facts = collect(image, headers, cloud, known=names)
    print(f"{kernel.line}: {kernel.version}: {len(facts)} facts in {time.monotonic() - started:.1f} s", flush=True)
    if not is_kept:
        for path in (*image, *headers, *cloud):
            path.unlink()
    return facts


def main(words: Sequence[str]) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--map", type=Path, default=MAP, help="file to write; default: %(default)s")
    parser.add_argument("--scratch", type=Path, help="directory for indices and packages; default: a temporary one")
    parser.add_argument("--keep", action="store_true", help="keep the packages in the scratch directory")
    parser.add_argument("--all", action="store_true", help="read all lines again, and forget those that are gone")
    parser.add_argument("--mirror", default="", help="as vmlab's --vmlab-mirror")
    chosen = parser.parse_args(words)
    try:
        with tempfile.TemporaryDirectory(prefix="apimap.", dir="/var/tmp") as temporary:
            scratch = chosen.scratch or Path(temporary)
            archive = Archive(scratch / "apt", mirror=chosen.mirror)
            read = refresh(archive, chosen.map, scratch / "debs", is_kept=chosen.keep, is_all=chosen.all)
    except (ArchiveFault, VmlabError, OSError) as error:
        print(f"refresh.py: {error}", file=sys.stderr)
        return 1
    print(f"{chosen.map}: {', '.join(read) or 'nothing new'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
