# SPDX-License-Identifier: MIT
"""Strings of modules, guests, catalogues and settings that try to become shell commands, options or paths."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from unit.fakes import FakeTransport, completed, guest, target
from unit.module.elf_file import elf_file

from vmlab.catalogue.matrix import load_matrix
from vmlab.catalogue.release import is_release
from vmlab.context import Context
from vmlab.errors import AssetError, BuildError, UsageError
from vmlab.guest.transport import Completed
from vmlab.image import from_packages, kernel_line
from vmlab.image.debian_index import KernelPackages
from vmlab.image.kernel_line import Resolution, read_index
from vmlab.image.mirrors import find_mirrors
from vmlab.module.inspect import inspect_module
from vmlab.module.load import is_loaded
from vmlab.module.source import read_source
from vmlab.settings import load_settings, without_password
from vmlab.store.store import Store

_PASSWORD = "s3cr%40t"
_MIRROR = f"http://reader:{_PASSWORD}@mirror.invalid/debian"
_TARGET = target("debian12-6.1")


class _Shell(FakeTransport):
    """Runs commands in this host's shell, in place of a guest's root shell."""

    def run(self, command: str, *, timeout_s: float) -> Completed:
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=timeout_s)
        return completed(command, status=done.returncode, stdout=done.stdout, stderr=done.stderr)


@pytest.mark.parametrize(
    "name",
    [
        "x' /dev/null; touch pwned; '",
        "$(touch pwned)",
        "-rf",
        "../../x",
        "x y",
        "x\ny",
        "x" * 56,
        "",
        "naïve",
        "x\x1b]52;",
    ],
)
def test_a_module_whose_name_is_none_is_refused(name: str, tmp_path: Path) -> None:
    ko = tmp_path / "good.ko"
    ko.write_bytes(elf_file({".modinfo": f"name={name}\0vermagic=6.1.0\0".encode()}))

    with pytest.raises(BuildError, match="is not a kernel module: its name must have"):
        inspect_module(ko)


@pytest.mark.parametrize("file", ["x;touch pwned.ko", "x y.ko"])
def test_the_name_of_a_file_is_no_name_of_a_module(file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(elf_file({".modinfo": b"vermagic=6.1.0\0"}))

    with pytest.raises(BuildError, match="is not a kernel module: its name must have"):
        inspect_module(tmp_path / file)


def test_a_name_is_one_word_of_the_roots_shell(tmp_path: Path) -> None:
    pwned = tmp_path / "pwned"

    assert not is_loaded(guest(_Shell()), f"x' /dev/null; touch {pwned}; '")
    assert not is_loaded(guest(_Shell()), ".*")

    assert not pwned.exists()


@pytest.mark.parametrize("name", ["-C", "--help", "-f Makefile", "a;b", "$(id)", "`id`", "a'b", 'a"b', "a\nb", ".."])
def test_the_name_of_a_directory_is_one_word_of_a_build(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "x" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Makefile").touch()

    named = read_source(folder).build_name

    assert shlex.split(named) == [named]
    assert not named.startswith("-")
    assert "/" not in named


@pytest.mark.parametrize(
    "url",
    [
        "http://m.invalid/d'; touch pwned; '",
        "http://m.invalid/$(touch pwned)",
        "http://m.invalid/`touch pwned`",
        'http://m.invalid/"; touch pwned',
        "http://m.invalid/d\ndeb http://evil.invalid x main",
        "http://m.invalid/d main\tx",
        "[trusted=yes] http://m.invalid/d",
        "http://m.invalid/d;touch",
        "http://m.invalid/d\\",
        "http://m.invalid/d,http://m.invalid/s,http://m.invalid/t",
        "http://user:pass%0Amachine@m.invalid/d",
        "http://user:a%20b@m.invalid/d",
        "http://-oProxyCommand=x/d",
        "copy:/etc",
        "ssh://m.invalid/d",
        "--customize-hook=id",
        "file:",
        "http://",
    ],
)
def test_a_mirror_with_anything_but_an_address_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings({"mirror": url}, directory=tmp_path, environment={})

    assert len(str(caught.value).splitlines()) == 1
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://m.invalid:3142/mirror.invalid/debian/",
        "https://m.invalid/d,https://s.invalid/s",
        "file:///srv/d",
        _MIRROR,
    ],
)
def test_addresses_of_mirrors_are_taken(url: str, tmp_path: Path) -> None:
    assert load_settings({"mirror": url}, directory=tmp_path, environment={}).mirror == url


class _Bootstrap:
    """Records what mmdebstrap is started with, and makes a base; the build of an image fails."""

    def __init__(self) -> None:
        self.arguments: list[str] = []
        self.logins: list[tuple[int, str]] = []

    def __call__(self, arguments: Sequence[str], *, directory: Path, **_: Any) -> None:
        self.arguments += arguments
        for file in directory.glob("*login*"):
            self.logins.append((stat.S_IMODE(file.stat().st_mode), file.read_text()))
        if any("base.tar base.tar" in argument for argument in arguments):
            (directory / "base.tar").touch()
            return
        raise AssetError("the build stops here")


@pytest.fixture
def bootstrap(monkeypatch: pytest.MonkeyPatch) -> _Bootstrap:
    recorded = _Bootstrap()
    monkeypatch.setattr(from_packages, "mmdebstrap", recorded)
    monkeypatch.setattr(kernel_line, "mmdebstrap", recorded)
    return recorded


def _build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, version: str = "6.1.1-1", release: str = "6.1.0"
) -> Path:
    """Build an image of a kernel as the index names it, with a mirror that needs a password; returns the store."""
    kernel = KernelPackages(
        release=release, version=version, image=f"linux-image-{release}", headers=f"linux-headers-{release}"
    )
    monkeypatch.setattr(from_packages, "resolve", lambda *_: Resolution(kernel=kernel, versions={}))
    settings = load_settings({"mirror": _MIRROR}, directory=tmp_path, environment={})
    with pytest.raises(AssetError, match="the build stops here"):
        from_packages.obtain_image(_TARGET, Context(settings=settings, store=Store(tmp_path / "store")))
    return tmp_path / "store"


def test_the_password_of_a_mirror_is_in_no_argument_and_stays_in_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bootstrap: _Bootstrap
) -> None:
    store = _build(tmp_path, monkeypatch)

    assert not [argument for argument in bootstrap.arguments if "s3cr" in argument or "reader" in argument]
    assert "deb http://mirror.invalid/debian bookworm main" in bootstrap.arguments
    assert [mode for mode, _ in bootstrap.logins] == [0o600, 0o600]
    assert bootstrap.logins[0][1] == "machine http://mirror.invalid login reader password s3cr@t\n"
    assert not [path for path in store.rglob("*") if path.is_file() and b"s3cr" in path.read_bytes()]
    assert "s3cr" not in repr(find_mirrors(_MIRROR))


def test_the_password_is_removed_from_a_root_before_it_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bootstrap: _Bootstrap
) -> None:
    _build(tmp_path, monkeypatch)

    steps = [
        argument for argument in bootstrap.arguments if "auth.conf.d/vmlab.conf" in argument or "base.tar" in argument
    ]
    verbs = [argument.partition("=")[2].split()[0] for argument in steps]
    assert verbs == ["umask", "upload", "rm", "#", "download", "tar-in", "umask", "upload", "rm"]


def test_the_index_is_read_with_the_password_in_a_private_file(tmp_path: Path, bootstrap: _Bootstrap) -> None:
    settings = load_settings({"mirror": _MIRROR}, directory=tmp_path, environment={})

    with pytest.raises(AssetError, match="the build stops here"):
        read_index(_TARGET, Context(settings=settings, store=Store(tmp_path / "store")))

    assert len(bootstrap.logins) == 1
    assert "s3cr" not in " ".join(bootstrap.arguments)


@pytest.mark.parametrize(
    "text", [_MIRROR, f"{_MIRROR},https://other:{_PASSWORD}@s.invalid/x", f"cannot use '{_MIRROR}'"]
)
def test_a_recorded_setting_has_no_password(text: str) -> None:
    assert "s3cr" not in without_password(text)
    assert "mirror.invalid/debian" in without_password(text)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the programs that the lab's hooks start, none of which does anything."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in (
        "chroot",
        "rm",
        "mktemp",
        "chmod",
        "mount",
        "umount",
        "truncate",
        "tar",
        "mkdir",
        "mv",
        "cp",
        "qemu-img",
    ):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.mark.parametrize("field", ["version", "release"])
@pytest.mark.parametrize("text", ["1; touch {pwned}", "1$(touch {pwned})", "1\ntouch {pwned}", "1' ; touch {pwned} '"])
def test_what_an_index_says_of_a_kernel_is_no_command_on_the_host(
    field: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bootstrap: _Bootstrap, programs: Path
) -> None:
    pwned, root = tmp_path / "pwned", tmp_path / "root"
    (root / "etc/apt").mkdir(parents=True)
    _build(tmp_path, monkeypatch, **{field: text.format(pwned=pwned)})

    special = ("tar-in ", "sync-in ", "sync-out ", "download ", "upload ")
    hooks = [argument.partition("-hook=")[2] for argument in bootstrap.arguments if "-hook=" in argument]
    for hook in hooks:
        if not hook.startswith(special):
            subprocess.run(["sh", "-c", hook, "hook", str(root)], capture_output=True, check=False, timeout=60)

    assert any("apt-get install" in hook for hook in hooks)
    assert not pwned.exists()


_ROWS = {
    "option as a package": ("suite", "packages", ["--option"]),
    "command as a pocket": ("suite", "pockets", ["x'; touch pwned; '"]),
    "option as a codename": ("suite", "codename", "--setup-hook=id"),
    "path as a distribution": ("suite", "distribution", "../../evil"),
    "path as a suite": ("suite", "id", "../x"),
    "option as a kernel": ("target", "kernel", "-o=Dpkg::Pre-Invoke::=id"),
    "command as headers": ("target", "headers", "x; id"),
    "field of a format as headers": ("target", "headers", "linux-{release.__class__}"),
    "option as a user": ("image", "user", "-R"),
    "path as an image": ("image", "id", "a/../b"),
}


def _toml(rows: Mapping[str, Mapping[str, Any]]) -> str:
    tables = []
    for name, row in rows.items():
        tables.append(f"[[{name}]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in row.items()))
    return "\n".join(tables)


@pytest.mark.parametrize("attack", _ROWS)
def test_a_word_of_a_catalogue_is_no_option_and_no_command(attack: str, tmp_path: Path) -> None:
    table, key, value = _ROWS[attack]
    rows: dict[str, dict[str, Any]] = {
        "suite": {"id": "mine", "distribution": "debian", "codename": "mine", "pockets": ["mine"]},
        "image": {
            **{"id": "mine-amd64", "urls": ["https://m.invalid/a"], "checksums": ["https://m.invalid/b"]},
            **{"algorithm": "sha256", "firmware": "bios", "user": "lab", "package_manager": "apt"},
        },
        "target": {"id": "mine-6.1", "suite": "mine", "line": "6.1", "image": "mine-amd64", "headers": "h-{release}"},
    }
    own = tmp_path / "targets"
    own.mkdir()
    (own / "own.toml").write_text(_toml(rows))
    assert load_matrix(own=tmp_path).select("mine-6.1")

    rows[table][key] = value
    (own / "own.toml").write_text(_toml(rows))

    with pytest.raises(UsageError, match=f"own.toml: {table} .*: {key} must begin with a letter or digit"):
        load_matrix(own=tmp_path)


@pytest.mark.parametrize(
    "answer", ["../../../etc/cron.d/x", "6.1/../../x", "-6.1", "6.1 x", "6.1;id", "6.1\nx", "6.1" + "x" * 62, ""]
)
def test_what_a_guest_answers_is_no_path_of_the_host(answer: str) -> None:
    assert not is_release(answer)
