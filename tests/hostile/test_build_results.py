# SPDX-License-Identifier: MIT
"""Results and sources of a build on the host: only regular files below one directory are taken."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from hostile.build_attacks import SECRET, attempt
from vmlab.errors import BuildError
from vmlab.lab.testbed import Testbed
from vmlab.module.build import build_tree
from vmlab.module.build_root import HostPlace
from vmlab.module.source import read_source
from vmlab.settings import BuildPlace, CompilerPolicy
from vmlab.store.store import Store

_NO_RESULTS = {
    "ln -s /etc/passwd m.ko": "is a symbolic link",
    "ln -s /dev/zero m.ko": "is a symbolic link",
    "ln -s SECRET m.ko": "is a symbolic link",
    "ln -s /proc/self/environ m.ko": "is a symbolic link",
    "mkfifo m.ko": "is a FIFO",
    "mkdir m.ko": "is a directory",
    'perl -MSocket -e \'socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, pack("Sa*", 1, "m.ko"))\'': "is a socket",
    "truncate -s 500M m.ko": "is larger than 384 MiB",
    "true": "cannot be read: No such file or directory",
}


@pytest.mark.parametrize("command", list(_NO_RESULTS))
def test_only_a_regular_file_is_a_result(place: HostPlace, secret: Path, tmp_path: Path, command: str) -> None:
    attempt(place, command.replace("SECRET", str(secret)))

    with pytest.raises(BuildError, match=f"the build's result 'm.ko' {_NO_RESULTS[command]}"):
        place.get("m.ko", tmp_path / "got")

    assert not (tmp_path / "got").exists()


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("ln -s {} out", "out/secret"),
        ("mkdir out; ln -s / out/root", "out/root{}/secret"),
        ("true", "../../..{}/secret"),
        ("true", "{}/secret"),
        ("ln -s .. up", "up/root/etc/passwd"),
    ],
)
def test_a_result_is_not_fetched_through_a_link(
    place: HostPlace, secret: Path, tmp_path: Path, command: str, name: str
) -> None:
    attempt(place, command.format(secret.parent))

    with pytest.raises(BuildError, match=r"is reached through a symbolic link|leads out of its directory"):
        place.get(name.format(secret.parent), tmp_path / "got")


@pytest.mark.parametrize(
    "command", ["ln -s {} fib", "mkdir fib; ln -s {} fib/src", "mkdir fib; ln -s {}/secret fib/Kbuild"]
)
def test_sources_are_not_copied_through_a_link(place: HostPlace, secret: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "fib" / "src").mkdir(parents=True)
    (tmp_path / "fib" / "Kbuild").write_text("obj-m := fib.o\n")
    (tmp_path / "fib" / "src" / "secret").write_text("replaced")
    attempt(place, command.format(secret.parent))

    with contextlib.suppress(BuildError):
        place.put_tree(read_source(tmp_path / "fib"), "fib")

    assert secret.read_text() == SECRET
    assert sorted(path.name for path in secret.parent.iterdir()) == ["fib", "secret"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("ln -s /etc/passwd fib.ko", "the build's result 'fib/fib.ko' is a symbolic link"),
        ("mkfifo fib.ko", "the build's result 'fib/fib.ko' is a FIFO"),
        (
            "mkdir -p \"$(printf 'a\\n')\"; echo x >\"$(printf 'a\\n/etc')\" ; touch \"$(printf 'x\\n..\\nfib.ko')\"",
            "invalid name",
        ),
        ("touch \"$(printf '\\033]52;c;eA==\\a.ko')\"", "invalid name"),
        ("touch \"$(printf '\\377.ko')\"", "invalid name"),
        (
            "env | grep -q TOKEN && touch leaked.ko; cat /proc/*/root/SECRET >leaked.ko || rm leaked.ko",
            "made no .ko file",
        ),
    ],
)
def test_a_makefile_does_not_bring_what_it_made_into_the_store(
    vmlab_testbed: Testbed, tmp_path: Path, secret: Path, script: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    (tmp_path / "fib").mkdir()
    (tmp_path / "fib" / "Kbuild").write_text("obj-m :=\n$(shell cd /build/fib && sh gen.sh)\n")
    (tmp_path / "fib" / "gen.sh").write_text(
        f"[ -e made ] && exit\ntouch made\n{script.replace('/SECRET', str(secret))}\n"
    )

    with pytest.raises(BuildError, match=reason) as caught:
        build_tree(
            read_source(tmp_path / "fib"),
            vmlab_testbed.image,
            lambda: HostPlace(vmlab_testbed.image),
            BuildPlace.HOST,
            Store(tmp_path / "store"),
            policy=CompilerPolicy.REFUSE,
            timeout_s=vmlab_testbed.limits.build_s,
        )

    assert len(caught.value.one_line.splitlines()) == 1
    assert caught.value.message.isprintable()
    assert [path for path in (tmp_path / "store" / "objects").rglob("*") if path.is_file()] == []
