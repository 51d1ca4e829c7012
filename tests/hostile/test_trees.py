# SPDX-License-Identifier: MIT
"""Module trees that try to bring a file of the host into the build, or to stop the lab."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from vmlab.errors import UsageError
from vmlab.module.source import Source, read_programs, read_source

_SECRET = "the host's secret"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "outside" / "secret"
    path.parent.mkdir()
    path.write_text(_SECRET)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    directory = tmp_path / "fib"
    (directory / "src").mkdir(parents=True)
    (directory / "Kbuild").write_text("obj-m := fib.o\n")
    (directory / "src" / "fib.c").write_text("int x;\n")
    return directory


@pytest.mark.parametrize("target", ["/proc/self/environ", "/etc/passwd", "/proc/self/root/etc/passwd", "/dev/zero"])
def test_a_link_to_a_file_of_the_host_is_refused(tree: Path, target: str) -> None:
    (tree / "table.h").symlink_to(target)

    with pytest.raises(UsageError, match=r"table\.h' is a link that leads out of the module's directory"):
        read_source(tree)


@pytest.mark.parametrize("name", ["Kbuild", "Makefile", "x.o", "x.a", "src/deep.c", ".x.o.cmd"])
def test_a_link_is_refused_under_any_name_of_a_source(tree: Path, secret: Path, name: str) -> None:
    (tree / name).unlink(missing_ok=True)
    (tree / name).symlink_to(secret)

    with pytest.raises(UsageError, match="leads out of the module's directory"):
        read_source(tree)


def test_a_relative_link_that_leads_out_is_refused(tree: Path, secret: Path) -> None:
    (tree / "src" / "table.h").symlink_to(f"../../{secret.parent.name}/secret")

    with pytest.raises(UsageError, match="leads out"):
        read_source(tree)


def test_a_link_by_way_of_another_link_is_refused(tree: Path, secret: Path) -> None:
    (tree / "b.h").symlink_to(secret)
    (tree / "a.h").symlink_to("b.h")

    with pytest.raises(UsageError, match="leads out"):
        read_source(tree)


def test_a_link_to_a_directory_outside_is_refused(tree: Path, secret: Path) -> None:
    (tree / "include").symlink_to(secret.parent)

    with pytest.raises(UsageError, match="leads out"):
        read_source(tree)


def test_a_link_in_a_programs_directory_is_refused(tree: Path, secret: Path) -> None:
    (tree / "probe.c").symlink_to(secret)

    with pytest.raises(UsageError, match="leads out"):
        read_programs(tree)


def test_a_link_to_a_file_of_the_tree_is_copied_as_content(tree: Path) -> None:
    (tree / "copy.c").symlink_to("src/fib.c")

    source = read_source(tree)

    assert source.read("copy.c")[0] == b"int x;\n"


def test_links_that_are_not_sources_do_no_harm(tree: Path, secret: Path) -> None:
    before = read_source(tree)
    (tree / ".venv").mkdir()
    (tree / ".venv" / "python").symlink_to(secret)
    (tree / "old.ko").symlink_to(secret)
    (tree / ".#fib.c").symlink_to("user@host.1234:1")
    (tree / "loop").symlink_to("loop")

    assert read_source(tree) == before


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a device")
    os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5))


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        directory = os.open(path.parent, os.O_PATH)
        listener.bind(f"/proc/self/fd/{directory}/{path.name}")  # a socket's path is at most 107 bytes long
        os.close(directory)


@pytest.mark.parametrize(("make", "kind"), [(_fifo, "FIFO"), (_device, "device"), (_socket, "socket")])
def test_a_special_file_is_refused_and_not_opened(tree: Path, make: Callable[[Path], None], kind: str) -> None:
    make(tree / "table.h")

    with pytest.raises(UsageError, match=rf"table\.h' is a {kind}"):
        read_source(tree)


def test_a_sparse_file_of_a_terabyte_is_refused_unread(tree: Path) -> None:
    with (tree / "big").open("wb") as file:
        file.truncate(2**40)

    with pytest.raises(UsageError, match="must be at most 64 MiB, got 1048576 MiB"):
        read_source(tree)


def test_a_name_that_is_not_utf8_is_refused(tree: Path) -> None:
    Path(os.fsdecode(os.fsencode(tree) + b"/\xff.c")).touch()

    with pytest.raises(UsageError, match=r"must be UTF-8, got b'\\xff\.c'"):
        read_source(tree)


def _as_link(path: Path, secret: Path) -> None:
    path.unlink()
    path.symlink_to(secret)


def _as_fifo(path: Path, _: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _as_other_text(path: Path, _: Path) -> None:
    path.write_text(_SECRET)


def _folder_as_link(path: Path, secret: Path) -> None:
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to(secret.parent)
    (secret.parent / path.name).write_text(_SECRET)


@pytest.mark.parametrize("swap", [_as_link, _as_fifo, _as_other_text, _folder_as_link])
def test_a_file_that_is_swapped_after_it_was_hashed_is_not_used(
    tree: Path, secret: Path, swap: Callable[[Path, Path], None]
) -> None:
    source: Source = read_source(tree)
    swap(tree / "src" / "fib.c", secret)

    with pytest.raises(UsageError, match=r"src/fib\.c' (is|changed)"):
        source.read("src/fib.c")


def test_a_tree_of_very_many_files_is_refused(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmlab.module.source.MOST_FILES", 50)
    for number in range(100):
        (tree / f"{number}.h").touch()

    with pytest.raises(UsageError, match="must be at most 50 files"):
        read_source(tree)


def test_a_very_deep_tree_is_read_or_refused(tree: Path) -> None:
    deepest = os.open(tree, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("dddd", dir_fd=deepest)
        below = os.open("dddd", os.O_RDONLY, dir_fd=deepest)
        os.close(deepest)
        deepest = below
    os.close(deepest)

    # pathlib of Python 3.13 leaves out what it cannot list.
    with contextlib.suppress(UsageError):
        read_source(tree)

    subprocess.run(["rm", "-rf", str(tree / "dddd")], check=True)
