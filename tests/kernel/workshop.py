# SPDX-License-Identifier: MIT
"""Build place of the experiments: a target's headers and compiler, and a compiler of another version beside it."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vmlab.catalogue.target import Target
from vmlab.image.image import Image
from vmlab.lab.lab import Lab
from vmlab.module.build import find_compiler
from vmlab.module.build_root import Place
from vmlab.module.compiler import Match, candidates, compare, kernel_compiler, parse_compiler
from vmlab.module.source import read_files
from vmlab.store.store import Store

from .borrowed_compiler import Borrowed, find_other_compiler, put_into

_SMALLEST = Path(__file__).parent / "smallest"
_SOURCES = ("Kbuild", "smallest.c")
_REVISION = 1
"""Increased when the same sources build to a different result."""
_SILENCED = "DEBIAN_KERNEL_NO_CC_VERSION_CHECK"
CHECKED = f"{_SILENCED}="
"""Variable that re-enables upstream's compiler check in Debian's headers."""
WARNING = "warning: the compiler differs from the one used to build the kernel"
# Options that the kernel's configuration found in its own compiler, and uses without checking another.
_OPTIONS = (
    ("CONFIG_SLS", "-mharden-sls", 12),  # arch/x86/Makefile; gcc.gnu.org/gcc-12/changes.html
    ("CONFIG_MITIGATION_SLS", "-mharden-sls", 12),  # the later name
    ("CONFIG_INIT_STACK_ALL_ZERO", "-ftrivial-auto-var-init", 12),  # the top Makefile; gcc-12/changes.html
    ("CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT", "-fmin-function-alignment", 14),  # the top Makefile; gcc-14/changes.html
)
"""Kernel configuration option, the compiler option it enables, and the first gcc with that option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Result of a `make`."""

    command: str
    status: int
    output: str
    ko: bytes
    """The built module; empty when the build made none."""

    @property
    def warns(self) -> bool:
        return WARNING in self.output


class Workshop:
    """Builds the module `smallest` in one place with several compilers; each build runs once."""

    def __init__(self, place: Place, image: Image, other: Borrowed | None, *, store: Store, timeout_s: float) -> None:
        self.place = place
        self.image = image
        self.other = other
        self._store = store
        self._timeout_s = timeout_s
        self._made: dict[str, Made] = {}
        self._config = self.run(f"cat /lib/modules/{image.release}/build/.config")
        self.kernel = kernel_compiler(self._config)
        self.at_hand = find_compiler(self.kernel, image.architecture, place, timeout_s=timeout_s)
        self._inputs = {
            "revision": _REVISION,
            "image": image.digest,
            "place": str(place.name),
            "sources": {name: (_SMALLEST / name).read_text(encoding="utf-8") for name in _SOURCES},
        }
        self._is_furnished = False

    @property
    def unknown_options(self) -> tuple[str, ...]:
        """Compiler options of this kernel that the other compiler is too old for."""
        if self.other is None:
            return ()
        major = self.other.major
        return tuple(flag for option, flag, since in _OPTIONS if major < since and self.has_option(option))

    def has_option(self, option: str) -> bool:
        """True if a CONFIG_ option is built into the kernel."""
        return f"\n{option}=y\n" in self._config

    def run(self, command: str) -> str:
        """Output of a command in the build directory, regardless of its status."""
        return self.place.run(command, timeout_s=self._timeout_s).output

    @cached_property
    def other_names(self) -> tuple[str, ...]:
        """Names of the kernel's own compiler here, other than the kernel's name for it; `gcc` first."""
        names = dict.fromkeys(["gcc", *candidates(self.kernel, self.image.architecture)])
        probe = (
            f'for cc in {" ".join(names)}; do command -v "$cc" >/dev/null && "$cc" --version | head -n 1; done; true'
        )
        found = [parse_compiler(line) for line in self.run(probe).splitlines()]
        return tuple(one.name for one in found if compare(self.kernel, one) is Match.OTHER_NAME)

    def make(self, cc: str, *words: str, path: str = "", goal: str = "modules") -> Made:
        """Run `make` with a compiler on clean sources; `path` is the compiler's directory. The goal `prepare` makes no
        .ko. Results are cached in the store, since each takes some seconds and is always the same."""
        make = f"make -C /lib/modules/{self.image.release}/build M=/build/smallest CC={cc} {' '.join([*words, goal])}"
        command = f"PATH={path}:$PATH {make}" if path else make
        if command not in self._made:
            brought = [self.other.image.digest, *self.unknown_options] if path and self.other is not None else []
            inputs = {**self._inputs, "command": command, "brought": brought}
            stored = self._store.obtain("experiments", inputs, lambda work: self._build(command, goal, work))
            self._made[command] = Made(
                command=command,
                status=int(stored.facts["status"]),
                output=stored.file("output").read_text(encoding="utf-8"),
                ko=stored.file("smallest.ko").read_bytes(),
            )
        return self._made[command]

    def _build(self, command: str, goal: str, work: Path) -> dict[str, str | int]:
        self._furnish()
        fresh = "rm -rf smallest && cp -r source smallest"
        done = self.place.run(f"{fresh} && {command}", timeout_s=self._timeout_s)
        (work / "output").write_text(done.output, encoding="utf-8")
        ko = self._get("smallest/smallest.ko") if done.status == 0 and goal == "modules" else b""
        (work / "smallest.ko").write_bytes(ko)
        return {"name": f"{self.image.target_id} experiments", "status": done.status}

    def _furnish(self) -> None:
        """Copy the sources and the other compiler before the first build."""
        if self._is_furnished:
            return
        self.place.put_tree(read_files(_SMALLEST, _SOURCES), "source")
        if self.other is not None:
            with tempfile.TemporaryDirectory(prefix="vmlab-compiler-") as directory:
                files = put_into(Path(directory), self.other, self.unknown_options)
                self.place.put_tree(read_files(Path(directory), files), "other")
        self._is_furnished = True

    def read_ko(self, ko: bytes, command: str) -> str:
        """Output of a command that gets the name of a .ko."""
        self._put("shown.ko", ko)
        return self.run(f"{command} shown.ko")

    def sign(self, ko: bytes, key: str, certificate: str) -> bytes:
        """The .ko signed by the kernel's sign-file, with a key and its certificate in PEM."""
        for name, text in (("key.pem", key), ("certificate.pem", certificate)):
            self._put(name, text.encode())
        self._put("signed.ko", ko)
        tool = f"/lib/modules/{self.image.release}/build/scripts/sign-file"
        done = self.place.run(f"{tool} sha256 key.pem certificate.pem signed.ko", timeout_s=self._timeout_s)
        assert done.status == 0, done.output
        return self._get("signed.ko")

    def _put(self, name: str, content: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="vmlab-put-") as directory:
            Path(directory, name).write_bytes(content)
            self.place.put_tree(read_files(Path(directory), [name]), ".")

    def _get(self, name: str) -> bytes:
        with tempfile.TemporaryDirectory(prefix="vmlab-get-") as directory:
            self.place.get(name, Path(directory, "got"))
            return Path(directory, "got").read_bytes()


@contextlib.contextmanager
def open_workshop(lab: Lab, target: Target) -> Iterator[Workshop]:
    """A target's workshop as a context manager: on the host, or in a fork where modules are built in a guest."""
    testbed = lab.testbed(target)
    with testbed.place() as place:
        other = find_other_compiler(lab, target)
        yield Workshop(place, testbed.image, other, store=lab.store, timeout_s=testbed.limits.build_s)


def unknown_options_in(output: str) -> set[str]:
    """Options, without values, that the compiler reports as unknown."""
    found = re.findall(r"unrecognized command[- ]line option ['‘](\S+?)['’]", output)
    return {option.partition("=")[0] for option in found}
