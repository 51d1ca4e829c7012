# SPDX-License-Identifier: MIT
"""Building: the correct command, the correct reason for a failure, and no repeated build of the same inputs."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from unit.fakes import image
from vmlab.catalogue.target import Architecture
from vmlab.errors import BuildError
from vmlab.module import build
from vmlab.module.build import Built, build_tree, compile_program, find_compiler, make_command
from vmlab.module.build_root import Outcome
from vmlab.module.compiler import Match, parse_compiler
from vmlab.module.failure import build_failure
from vmlab.module.inspect import ModuleInfo
from vmlab.module.source import Source, read_source
from vmlab.settings import BuildPlace, CompilerPolicy
from vmlab.store.store import Store

_RELEASE = "6.1.0-56-cloud-amd64"
_KERNEL = "gcc-12 (Debian 12.2.0-14) 12.2.0"
_OTHER_NAME = "x86_64-linux-gnu-gcc-12 (Debian 12.2.0-14) 12.2.0"
_CLANG = "Debian clang version 21.1.8 (3)"
_OTHER_VERSION = "gcc-14 (Debian 14.2.0-19) 14.2.0"


class FakePlace:
    """Answers a build's commands by purpose."""

    name = BuildPlace.HOST

    def __init__(
        self,
        *,
        kernel: str = _KERNEL,
        compilers: str = f"gcc-12\t{_KERNEL}",
        make: Outcome | None = None,
        listing: str = "fib/fib.ko\0",
        missing: tuple[str, ...] = (),
    ) -> None:
        self.kernel = kernel
        self.compilers = compilers
        self.missing = missing
        self.make = make or Outcome(status=0, output="  CC [M]  fib.o\n")
        self.listing = listing
        self.commands: list[str] = []
        self.is_closed = False

    def put_tree(self, source: Source, name: str) -> None:
        self.commands.append(f"put {len(source.files)} of {source.name} as {name}")

    def run(self, command: str, *, timeout_s: float) -> Outcome:
        assert timeout_s > 0
        self.commands.append(command)
        if "CONFIG_CC_VERSION_TEXT" in command:
            return Outcome(status=0, output=f'CONFIG_CC_VERSION_TEXT="{self.kernel}"\n')
        if "--version" in command:
            return Outcome(status=0, output=self.compilers)
        if command.startswith("command -v "):
            return Outcome(status=int(command.split()[-1] in self.missing), output="")
        if command.startswith("find "):
            return Outcome(status=0, output=self.listing)
        return self.make

    def get(self, name: str, local: Path) -> None:
        local.write_text(name)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "fib").mkdir()
    (tmp_path / "fib" / "Kbuild").write_text("obj-m := fib.o\n")
    (tmp_path / "fib" / "fib.c").write_text("int x;\n")
    return read_source(tmp_path / "fib")


@pytest.fixture(autouse=True)
def _every_file_is_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    info = ModuleInfo(
        name="fib",
        vermagic=f"{_RELEASE} SMP",
        license="GPL",
        machine="EM_X86_64",
        compilers=("GCC: (Debian 12.2.0-14) 12.2.0",),
    )
    monkeypatch.setattr(build, "inspect_module", lambda path: replace(info, name=path.stem.replace("-", "_")))


def _build(source: Source, place: FakePlace, store: Store, *, policy: CompilerPolicy = CompilerPolicy.REFUSE) -> Built:
    tree = build_tree(
        source, image(Path("/i"), release=_RELEASE), lambda: place, BuildPlace.HOST, store, policy=policy, timeout_s=10
    )
    return tree.chosen(source)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_the_same_compiler_is_called_by_its_name() -> None:
    kernel = parse_compiler(_KERNEL)
    assert make_command("fib", _RELEASE, kernel, kernel) == (
        f"make -j2 -C /lib/modules/{_RELEASE}/build M=/build/fib CC=gcc-12 modules"
    )


def test_the_same_compiler_of_another_name_gets_a_link_with_the_kernels() -> None:
    command = make_command("fib", _RELEASE, parse_compiler(_KERNEL), parse_compiler(_OTHER_NAME))
    assert 'ln -sf "$(command -v x86_64-linux-gnu-gcc-12)" /build/.names/gcc-12' in command
    assert command.endswith("CC=gcc-12 modules")
    assert "PATH=/build/.names:$PATH make " in command


def test_another_version_keeps_its_own_name_and_the_kernels_warning() -> None:
    command = make_command("fib", _RELEASE, parse_compiler(_KERNEL), parse_compiler(_OTHER_VERSION))
    assert "CC=gcc-14 " in command
    assert "ln -s" not in command


@pytest.mark.parametrize(("name", "tools"), [("clang", "LLVM=1"), ("clang-21", "LLVM=-21")])
def test_a_kernel_that_clang_built_gets_a_module_built_by_llvm(
    source: Source, store: Store, name: str, tools: str
) -> None:
    place = FakePlace(kernel=_CLANG, compilers=f"{name}\t{_CLANG}\n")

    built = _build(source, place, store, policy=CompilerPolicy.WAIVE)

    command = f"cd fib && make -j2 -C /lib/modules/{_RELEASE}/build M=/build/fib {tools} modules"
    assert command in place.commands
    assert (built.compiler.name, built.match) == (name, Match.SAME)


@pytest.mark.parametrize(
    ("name", "linker", "package"), [("clang", "ld.lld", "lld"), ("clang-21", "ld.lld-21", "lld-21")]
)
def test_a_clang_without_its_linker_is_refused_in_words(
    source: Source, store: Store, name: str, linker: str, package: str
) -> None:
    place = FakePlace(kernel=_CLANG, compilers=f"{name}\t{_CLANG}\n", missing=(linker,))

    with pytest.raises(BuildError) as caught:
        _build(source, place, store)

    assert caught.value.message == f"{linker} is missing for {name}: the kernel was built by {_CLANG!r}"
    assert caught.value.hint == f"install {package} in the image"
    assert not any("make" in command for command in place.commands)


def test_the_probe_for_compilers_names_each_in_a_real_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "clang-21"
    program.write_text(f"#!/bin/sh\necho '{_CLANG}'\necho 'Target: x86_64'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    place = FakePlace()

    def run(command: str, *, timeout_s: float) -> Outcome:
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=timeout_s, check=True)
        return Outcome(status=done.returncode, output=done.stdout)

    monkeypatch.setattr(place, "run", run)

    found = find_compiler(parse_compiler(_CLANG), Architecture.AMD64, place, timeout_s=30)

    assert (found.name, found.text) == ("clang-21", _CLANG)


def test_a_name_with_a_blank_is_quoted() -> None:
    kernel = parse_compiler(_KERNEL)
    assert "M=/build/'my module' " in make_command("my module", _RELEASE, kernel, kernel)


def test_the_compiler_most_like_the_kernels_is_taken() -> None:
    place = FakePlace(compilers=f"{_OTHER_VERSION}\n{_OTHER_NAME}\n")
    assert find_compiler(parse_compiler(_KERNEL), Architecture.AMD64, place, timeout_s=5).text == _OTHER_NAME


def test_no_compiler_at_all_is_told_with_what_was_looked_for() -> None:
    with pytest.raises(BuildError, match="no compiler found, tried: gcc-12") as caught:
        find_compiler(parse_compiler(_KERNEL), Architecture.AMD64, FakePlace(compilers=""), timeout_s=5)
    assert _KERNEL in caught.value.hint


def test_a_module_is_built_once_per_content(source: Source, store: Store) -> None:
    first, second = FakePlace(), FakePlace()
    built = _build(source, first, store)
    again = _build(source, second, store)
    assert (built.is_cached, again.is_cached) == (False, True)
    assert built.match is Match.SAME
    assert built.ko.read_text() == "fib/fib.ko"
    assert first.is_closed
    assert second.commands == []
    assert again.duration_s == built.duration_s
    (source.directory / "fib.c").write_text("int y;\n")
    assert not _build(read_source(source.directory), second, store).is_cached


def test_warnings_are_kept_with_the_build(source: Source, store: Store) -> None:
    output = "  CC [M]  fib.o\n/build/fib/fib.c:3:5: warning: unused variable 'x'\n"
    built = _build(source, FakePlace(make=Outcome(status=0, output=output)), store)
    assert built.warnings == ("/build/fib/fib.c:3:5: warning: unused variable 'x'",)
    assert "unused variable" in built.log.read_text()


def test_another_compiler_version_is_refused_before_anything_is_built(source: Source, store: Store) -> None:
    place = FakePlace(compilers=_OTHER_VERSION)
    with pytest.raises(BuildError, match=r"gcc 12\.2\.0.*gcc 14\.2\.0"):
        _build(source, place, store)
    assert not any("make" in command for command in place.commands)
    assert place.is_closed


def test_another_compiler_version_can_be_waived(source: Source, store: Store) -> None:
    built = _build(source, FakePlace(compilers=_OTHER_VERSION), store, policy=CompilerPolicy.WAIVE)
    assert built.match is Match.OTHER_VERSION


def test_a_failed_build_is_not_cached(source: Source, store: Store) -> None:
    with pytest.raises(BuildError):
        _build(source, FakePlace(make=Outcome(status=2, output="make: *** [Makefile:1: x] Error 2\n")), store)
    assert not _build(source, FakePlace(), store).is_cached


@pytest.mark.parametrize(
    ("listing", "words"),
    [
        ("", "made no .ko file"),
        ("fib/one.ko\0fib/two.ko\0", "makes several modules: one, two"),
    ],
)
def test_which_module_came_out_must_be_clear(source: Source, store: Store, listing: str, words: str) -> None:
    with pytest.raises(BuildError) as caught:
        _build(source, FakePlace(listing=listing), store)
    assert words in caught.value.message


def test_of_several_modules_the_one_named_like_its_directory_is_taken(source: Source, store: Store) -> None:
    assert _build(source, FakePlace(listing="fib/a.ko\0fib/fib.ko\0"), store).ko.name == "fib.ko"


@pytest.fixture
def spaced(tmp_path: Path) -> Source:
    (tmp_path / "my module").mkdir()
    (tmp_path / "my module" / "Kbuild").write_text("obj-m := fib.o\n")
    return read_source(tmp_path / "my module")


def test_a_directory_with_a_blank_in_its_name_is_built_under_another(spaced: Source, store: Store) -> None:
    place = FakePlace(listing="my_module/other.ko\0my_module/my-module.ko\0")

    built = _build(spaced, place, store)

    assert built.guest_path == "/build/my_module/my-module.ko"
    assert place.commands[2] == "put 1 of my module as my_module"
    assert "M=/build/my_module " in place.commands[3]
    assert place.commands[4].startswith("find my_module ")


def test_a_failure_has_the_directorys_own_name(spaced: Source) -> None:
    error = build_failure(spaced, _RELEASE, "/build/my_module/Kbuild:1: *** missing separator.  Stop.\n")

    assert (
        error.message
        == f"my module does not build on {_RELEASE}: the compiler or build tool: Kbuild:1: *** missing separator"
    )
    assert error.source == "Kbuild:1"


def test_a_program_that_does_not_compile_names_file_line_and_error(source: Source, tmp_path: Path) -> None:
    output = "program/fib.c: In function 'main':\nprogram/fib.c:3:4: error: no\n"
    place = FakePlace(make=Outcome(status=1, output=output))

    with pytest.raises(BuildError) as caught:
        compile_program(source, "fib.c", image(tmp_path), place, tmp_path / "out", timeout_s=5)

    assert caught.value.message == "fib.c does not compile for debian12-6.1: fib.c:3: no"


def test_a_program_that_does_not_link_names_what_is_missing(source: Source, tmp_path: Path) -> None:
    output = "/usr/bin/ld: /tmp/cc1.o: in function `main':\nfib.c:(.text+0xa): undefined reference to `helper'\n"
    place = FakePlace(make=Outcome(status=1, output=f"{output}collect2: error: ld returned 1 exit status\n"))

    with pytest.raises(BuildError, match=r"debian12-6\.1: fib\.c.*undefined reference to `helper'"):
        compile_program(source, "fib.c", image(tmp_path), place, tmp_path / "out", timeout_s=5)


_COMPILER = """\
make: Entering directory '/usr/src/linux-headers-6.1.0-56-cloud-amd64'
  CC [M]  /build/fib/src/fib.o
/build/fib/src/fib.c: In function 'fib_read':
/build/fib/src/fib.c:42:9: error: 'undeclared' undeclared (first use in this function)
/build/fib/src/fib.c:50:1: error: a second one
make[1]: *** [scripts/Makefile.build:250: /build/fib/src/fib.o] Error 1
"""
_HEADER = "/build/fib/fib.c:1:10: fatal error: nothing.h: No such file or directory\ncompilation terminated.\n"
_IN_7_3 = "fib.c:7:2: error: #error no\nmake[2]: *** [x] Error 1\n"
_MODPOST = 'ERROR: modpost: "no_such_symbol" [/build/fib/fib.ko] undefined!\nmake[1]: *** [x] Error 1\n'
_MODPOST_5_10 = 'ERROR: "no_such_symbol" [/build/fib/fib.ko] undefined!\n'
_MAKE = "make[2]: *** No rule to make target '/build/fib/none.o', needed by '/build/fib/fib.o'.  Stop.\n"


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (_COMPILER, "plain mistake: src/fib.c:42: 'undeclared' undeclared (first use in this function)"),
        (_HEADER, "a source is missing: fib.c:1: nothing.h: No such file or directory"),
        (_IN_7_3, "the module says so itself: fib.c:7: #error no"),
        (_MODPOST, 'plain mistake: "no_such_symbol" [fib.ko] undefined!'),
        (_MODPOST_5_10, 'plain mistake: "no_such_symbol" [fib.ko] undefined!'),
        (_MAKE, "a source is missing: No rule to make target 'none.o', needed by 'fib.o'"),
    ],
    ids=["compiler", "header", "relative", "modpost", "modpost of 5.10", "make"],
)
def test_a_failure_names_kernel_place_and_first_error(source: Source, output: str, reason: str) -> None:
    error = build_failure(source, _RELEASE, output)
    assert error.message.startswith(f"fib does not build on {_RELEASE}: {reason}")
    assert error.detail.splitlines()[-1] == output.splitlines()[-1]


@pytest.mark.parametrize(
    ("output", "place"),
    [
        ("/build/fib/fib.c:1:5: error: no\n", "fib.c:1"),
        ("/build/fib/Kbuild:1: *** missing separator.  Stop.\n", "Kbuild:1"),
        ('ERROR: modpost: "helper" [/build/fib/fib.ko] undefined!\n', "fib.c:3"),
        ("ERROR: modpost: GPL-incompatible module fib.ko uses GPL-only symbol 'helper'\n", "fib.c:3"),
        ("fib.o: error: objtool: entry+0x1c: unreachable instruction\n", "fib.c:2"),
        ("ERROR: modpost: missing MODULE_LICENSE() in /build/fib/fib.o\n", "fib.c:1"),
        ('ERROR: modpost: "elsewhere" [/build/fib/fib.ko] undefined!\n', ""),
        ("ERROR: modpost: missing MODULE_LICENSE() in /build/fib/joined.o\n", ""),
        ("ld: cannot find libblob.a: No such file or directory\n", ""),
    ],
    ids=[
        "compiler",
        "makefile",
        "undefined symbol",
        "GPL-only symbol",
        "objtool",
        "license",
        "a symbol that no source names",
        "an object of several sources",
        "linker",
    ],
)
def test_a_failure_names_the_modules_own_file_and_line(source: Source, output: str, place: str) -> None:
    (source.directory / "fib.c").write_text("int x;\nint entry(void)\n{ return helper(); }\n")

    assert build_failure(source, _RELEASE, output).source == place


def test_a_failure_without_words_is_still_a_failure(source: Source) -> None:
    assert build_failure(source, _RELEASE, "").message == f"fib does not build on {_RELEASE}"


def test_an_error_names_few_of_very_many_modules(source: Source, store: Store) -> None:
    listing = "".join(f"fib/{'x' * 200}{number}.ko\0" for number in range(20_000))

    with pytest.raises(BuildError, match=r"'fib' makes several modules: .* and 19997 more") as caught:
        _build(source, FakePlace(listing=listing), store)

    assert len(caught.value.one_line) < 2000


def test_the_warnings_of_a_build_are_bounded(source: Source, store: Store) -> None:
    output = "x" * 3_000_000 + ": warning: y\n" + "a: warning: b\n" * 400_000

    warnings = _build(source, FakePlace(make=Outcome(status=0, output=output)), store).warnings

    assert len(warnings) == 1000
    assert max(map(len, warnings)) <= 500


def test_a_directory_that_make_would_take_for_two_words_is_refused(tmp_path: Path, store: Store) -> None:
    (tmp_path / "fib" / "my src").mkdir(parents=True)
    (tmp_path / "fib" / "my src" / "Kbuild").write_text("obj-m := fib.o\n")

    with pytest.raises(BuildError, match="Kbuild cannot be called for a directory of this name: 'my src'"):
        _build(read_source(tmp_path / "fib"), FakePlace(), store)


def test_each_directory_gets_the_trees_variables_and_the_symbols_of_those_before(tmp_path: Path, store: Store) -> None:
    (tmp_path / "fib").mkdir()
    call = "\tmake -C /x M=$(PWD)/{} EXTRA='-DA -DB'\n"
    (tmp_path / "fib" / "Makefile").write_text(f"all:\n{call.format('a')}{call.format('b')}")
    place = FakePlace(listing="fib/a/a.ko\0fib/b/fib.ko\0")

    built = _build(read_source(tmp_path / "fib"), place, store)

    first, second = (command for command in place.commands if " make " in command)
    assert "M=/build/fib/a CC=gcc-12 EXTRA='-DA -DB' modules" in first
    assert "KBUILD_EXTRA_SYMBOLS=/build/fib/a/Module.symvers modules" in second
    assert (built.info.name, built.guest_path) == ("fib", "/build/fib/b/fib.ko")
