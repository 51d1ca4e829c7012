# SPDX-License-Identifier: MIT
"""Loading and unloading: the error for a refused module."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from unit.fakes import FakeTransport, completed, guest
from vmlab.errors import GuestError
from vmlab.guest.guest import Guest
from vmlab.guest.helper import CALL
from vmlab.guest.transport import Completed
from vmlab.module.build import Built
from vmlab.module.compiler import Match, parse_compiler
from vmlab.module.inspect import ModuleInfo
from vmlab.module.load import insert, remove, remove_with_needs
from vmlab.settings import BuildPlace

_GCC = parse_compiler("gcc-12 (Debian 12.2.0-14) 12.2.0")
_INSMOD = "insmod: ERROR: could not insert module /build/fib/fib.ko: Invalid parameters\n"


class _Kernel:
    """A guest kernel that refuses every module, and logs the refusal."""

    def __init__(self, *, says: list[str], insmod: str = _INSMOD, prefix: int = 4) -> None:
        """`prefix` is a record's facility times eight plus its level."""
        self._says = says
        self._prefix = prefix
        self._insmod = insmod
        self._lines = ["6,0,0,-;Linux version 6.1.0"]
        shell = dict.fromkeys(("echo", "export", CALL), self._shell)
        self.transport = FakeTransport({**shell, "insmod": self._refuse, "rmmod": self._refuse})

    def guest(self) -> Guest:
        return guest(self.transport)

    def _say(self, prefix: int, text: str) -> None:
        self._lines.append(f"{prefix},{len(self._lines)},{len(self._lines)}00,-;{text}")

    def _refuse(self, command: str) -> Completed:
        for text in self._says:
            self._say(self._prefix, text)
        return completed(command, status=1, stderr=self._insmod)

    def _shell(self, command: str) -> str:
        if "echo '<6>" in command:
            self._say(14, command.split("<6>")[1].split("'")[0])
        return "\n".join(["0", *self._lines]) + "\n" if "LC_ALL" in command else ""


@pytest.fixture
def built(tmp_path: Path) -> Built:
    info = ModuleInfo(name="fib", vermagic="6.1.0 SMP", license="GPL", machine="EM_X86_64", compilers=())
    return Built(
        ko=tmp_path / "fib.ko",
        sha256="0" * 64,
        guest_path="/build/fib/fib.ko",
        info=info,
        kernel_compiler=_GCC,
        compiler=_GCC,
        match=Match.SAME,
        place=BuildPlace.HOST,
        warnings=(),
        log=tmp_path / "build.log",
        duration_s=1.0,
        is_cached=False,
    )


def test_a_module_that_the_kernel_refuses_is_told_in_the_kernels_words(built: Built) -> None:
    kernel = _Kernel(says=["fib: Unknown symbol foo (err -2)", "fib: Unknown symbol bar (err -2)"])

    with pytest.raises(GuestError) as caught:
        insert(kernel.guest(), built)

    assert caught.value.message == "fib does not load: Unknown symbol foo (err -2) (and 1 more)"
    assert _INSMOD in caught.value.detail
    assert "fib: Unknown symbol bar (err -2)" in caught.value.detail


def test_a_module_that_refuses_itself_is_told_in_insmods_words(built: Built) -> None:
    with pytest.raises(GuestError) as caught:
        insert(_Kernel(says=[]).guest(), built)

    assert caught.value.message == f"fib does not load: {_INSMOD.strip()}"


def test_a_silent_insmod_is_told_by_its_status(built: Built) -> None:
    with pytest.raises(GuestError, match="fib does not load: insmod ended with status 1"):
        insert(_Kernel(says=[], insmod="").guest(), built)


def test_what_a_program_wrote_into_the_log_is_not_the_kernels_word(built: Built) -> None:
    kernel = _Kernel(says=["fib: Unknown symbol faked (err -2)"], prefix=12)

    with pytest.raises(GuestError) as caught:
        insert(kernel.guest(), built)

    assert caught.value.message == f"fib does not load: {_INSMOD.strip()}"


def test_a_module_that_stays_is_told_by_the_last_line_of_rmmod() -> None:
    kernel = _Kernel(says=[], insmod="rmmod: warning: slow\nrmmod: ERROR: Module fib is in use by: fab\n\x1b[0m\n")

    with pytest.raises(GuestError) as caught:
        remove(kernel.guest(), "fib")

    assert caught.value.message == "fib does not unload: rmmod: ERROR: Module fib is in use by: fab"


class _Loader:
    """A guest that loads every module, and remembers the commands that load and unload."""

    def __init__(self, *, missing: str = "") -> None:
        self.commands: list[str] = []
        self._missing = missing
        self._loaded: set[str] = set()
        words = ("insmod", "rmmod", "modprobe", "grep")
        shell = dict.fromkeys(("echo", "export", CALL), self._shell)
        self.transport = FakeTransport({**shell, **dict.fromkeys(words, self._answer)})

    def _answer(self, command: str) -> Completed:
        words = shlex.split(command)
        name = words[-1] if words[0] != "insmod" else Path(words[1]).stem
        if words[0] == "grep":
            return completed(command, status=int(words[2].strip("^ ") not in self._loaded))
        self.commands.append(command)
        if words[0] == "rmmod":
            self._loaded.discard(name)
        elif name != self._missing:
            self._loaded.add(name)
        status = int(name == self._missing)
        return completed(command, status=status, stderr=f"modprobe: FATAL: Module {name} not found\n" * status)

    def _shell(self, command: str) -> str:
        return "0\n6,0,0,-;Linux version 6.1.0\n" if "LC_ALL" in command else ""


def _named(built: Built, name: str, *depends: str, needs: tuple[Built, ...] = ()) -> Built:
    return replace(
        built,
        guest_path=f"/build/fib/{name}.ko",
        info=replace(built.info, name=name, depends=depends),
        needs=needs,
        kernel_modules=tuple(each for each in depends if each not in {need.info.name for need in needs}),
    )


def test_a_module_is_loaded_after_the_trees_and_the_kernels_own_and_unloaded_before(built: Built) -> None:
    loader = _Loader()
    bus = replace(_named(built, "bus", "crc7"), parameters={"limit": "3"})
    driver = _named(built, "driver", "bus", "usbcore", needs=(bus,))
    lab = guest(loader.transport)

    insert(lab, driver, {"mode": "two words"})
    remove_with_needs(lab, driver)

    assert loader.commands == [
        "modprobe crc7",
        "insmod /build/fib/bus.ko limit=3",
        "modprobe usbcore",
        "insmod /build/fib/driver.ko 'mode=\"two words\"'",
        "rmmod driver",
        "rmmod bus",
    ]


def test_a_module_of_the_kernel_that_is_missing_is_named(built: Built) -> None:
    loader = _Loader(missing="usbcore")

    with pytest.raises(GuestError) as caught:
        insert(guest(loader.transport), _named(built, "driver", "usbcore"))

    words = "driver does not load: it depends on the kernel's module usbcore: modprobe: FATAL: Module usbcore not found"
    assert caught.value.message == words


def test_a_soft_dependency_may_be_missing(built: Built) -> None:
    loader = _Loader(missing="uhid")
    soft = replace(_named(built, "driver"), kernel_modules=("uhid",))

    insert(guest(loader.transport), soft)

    assert loader.commands == ["modprobe uhid", "insmod /build/fib/driver.ko"]
