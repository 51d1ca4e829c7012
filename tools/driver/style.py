# SPDX-License-Identifier: MIT
"""Check fibdrv with a kernel reviewer's tools, on a Debian host: `nox -s driver`.

It builds with `W=1` and sparse for the newest kernel with installed headers, and reads how much stack the functions of
the arithmetic use. It runs the kernel's checkpatch.pl with
fibdrv/.checkpatch.conf, and mandoc's lint on the man page. Any message from them makes the status 1.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
DRIVER = ROOT / "fibdrv"
_PACKAGES = "apt-get install make gcc sparse mandoc linux-headers-amd64 linux-source"
_SCRIPTS = ("checkpatch.pl", "const_structs.checkpatch", "spelling.txt")
# A warning from the compiler, sparse or Kbuild, except Debian's missing vmlinux, which only BTF needs.
_SAID = re.compile(r"^.*\b(?:warning|error):.*$", re.MULTILINE | re.IGNORECASE)
_STACK_BYTES = 512
"""The most that a function of the arithmetic may use of a kernel's stack."""
_COMPLAINT = re.compile(r"^((?:ERROR|WARNING|CHECK):.*)\n#\d+: FILE: (.*):$", re.MULTILINE)


class Missing(Exception):
    """A tool or package that is missing on this host."""


def headers() -> Path:
    """Build directory of the newest kernel with installed headers."""
    found = sorted(Path("/lib/modules").glob("*/build/Makefile"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise Missing("no kernel's headers")
    return found[-1].parent


def unpack_checkpatch(to: Path) -> Path:
    """Extract checkpatch.pl and the files it reads from the distribution's kernel source package."""
    archives = sorted(Path("/usr/src").glob("linux-source-*.tar.xz"))
    if not archives:
        raise Missing("no kernel source package")
    wanted = {f"{archives[-1].name.removesuffix('.tar.xz')}/scripts/{name}": name for name in _SCRIPTS}
    with tarfile.open(archives[-1], "r|xz") as source:
        for member in source:
            content = source.extractfile(member) if member.name in wanted else None
            if content is not None:
                (to / wanted[member.name]).write_bytes(content.read())
            if all((to / name).is_file() for name in _SCRIPTS):
                break
    return to / _SCRIPTS[0]


def require(program: str) -> str:
    """A program's path; `Missing` when the host lacks it."""
    path = shutil.which(program)
    if path is None:
        raise Missing(f"no {program}")
    return path


def run(command: Sequence[str], directory: Path) -> str:
    """A command's complete output; an error when it cannot be run."""
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    return f"{done.stdout}{done.stderr}" if done.returncode == 0 else f"error: {done.stdout}{done.stderr}"


def build(work: Path, *options: str) -> list[str]:
    """Messages from the compiler and sparse on the module at W=1."""
    for program in ("make", "gcc", "sparse"):
        require(program)
    copy = work / f"build{len(options)}" / "fibdrv"
    shutil.copytree(DRIVER, copy, ignore=shutil.ignore_patterns("*.o", "*.ko", "*.mod*", ".*.cmd", "build"))
    words = ["W=1", "C=2", "KCFLAGS=-fstack-usage", *options, "modules"]
    said = run(["make", "-C", str(headers()), f"M={copy}", *words], copy)
    if "LD [M]" not in said or "CHECK" not in said:
        return [f"neither built nor checked: {said}"]
    return _SAID.findall(said) + stack(copy)


def stack(built: Path) -> list[str]:
    """Functions of the arithmetic that use too much of the stack, by gcc's .su files."""
    lines = [line.split("\t") for file in built.glob("arith/*.su") for line in file.read_text().splitlines()]
    if not lines:
        return ["gcc wrote no .su file"]
    return [f"{where}: {size} bytes of stack" for where, size, *_ in lines if int(size) >= _STACK_BYTES]


def checkpatch(work: Path) -> list[str]:
    """Messages from checkpatch.pl on every C file."""
    files = sorted(str(path.relative_to(DRIVER)) for path in DRIVER.rglob("*.[ch]") if "build" not in path.parts)
    files = [name for name in files if not name.endswith(".mod.c")]
    said = run([require("perl"), str(unpack_checkpatch(work)), "--show-types", "-f", *files], DRIVER)
    if said.count("lines checked") != len(files):
        return [f"{said.count('lines checked')} of {len(files)} files were checked: {said[-2000:]}"]
    return [f"{place}: {what}" for what, place in _COMPLAINT.findall(said)]


def man_page(_: Path) -> list[str]:
    """Messages from mandoc on fibonacci(4)."""
    page = DRIVER / "packaging" / "fibonacci.4"
    done = subprocess.run(
        [require("mandoc"), "-T", "lint", "-W", "style", str(page)], capture_output=True, text=True, check=False
    )
    return [line for line in done.stdout.splitlines() if "referenced manual not found" not in line]


CHECKS: dict[str, Callable[[Path], list[str]]] = {
    "W=1 and sparse": build,
    "W=1 and sparse, the test build": lambda work: build(work, "FIBDRV_FAULTS=y"),
    "checkpatch.pl --strict": checkpatch,
    "mandoc -T lint": man_page,
}


def main() -> int:
    """Run every check and print its messages."""
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="fibdrv-style-") as directory:
        for name, check in CHECKS.items():
            try:
                said = check(Path(directory))
            except Missing as missing:
                print(f"{name}: {missing} on this host; {_PACKAGES}", file=sys.stderr)
                return 2
            print(f"{name}: {'clean' if not said else ''}")
            for line in said:
                print(f"  {line}")
            wrong += len(said)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
