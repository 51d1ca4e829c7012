# SPDX-License-Identifier: MIT
"""Command lines and users of a build's sandbox."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vmlab.module.build_root import excess, unconfined
from vmlab.module.sandbox import (
    BUILD_ID,
    Confinement,
    Identity,
    Sandbox,
    confined,
    covers,
    last_subordinate,
    limits_of,
    maps,
    read_identity,
)
from vmlab.module.stage import space_mib
from vmlab.system import confine
from vmlab.system.cgroup import Hits
from vmlab.system.watched import Usage

_PREFIX = "choom -n 1000 -- nsenter --target 42 --user --mount --preserve-credentials -- prlimit --as=8 --nproc=512 --"
_ENV = "env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/build LC_ALL=C"


def _confinement(sandbox: Sandbox, *, own: bool) -> Confinement:
    return Confinement(sandbox=sandbox, stage_pid=42, has_own_user=own, limits={"nproc": 512, "as": 8}, filter_fd=7)


def test_bubblewrap_is_started_as_the_builds_user() -> None:
    words = confined(_confinement(Sandbox.BUBBLEWRAP, own=True), "make x")

    assert " ".join(words[:-3]) == (
        f"{_PREFIX} setpriv --reuid 60700 --regid 60700 --clear-groups --inh-caps=-all -- {_ENV}"
        " bwrap --unshare-user --unshare-all --die-with-parent --new-session --uid 60700 --gid 60700 --cap-drop ALL"
        " --hostname vmlab --ro-bind /sys/root / --proc /proc --remount-ro /proc --dev /dev"
        " --dev-bind /dev/full /dev/zero --bind /sys/build /build --bind /sys/tmp /tmp"
        " --bind /sys/shm /dev/shm --remount-ro /dev --chdir /build --seccomp 7 --"
    )
    assert words[-3:-1] == ["/bin/sh", "-c"]
    assert words[-1].endswith("exec 3<&-; cd /build && make x")


def test_without_another_user_bubblewrap_maps_the_callers() -> None:
    assert "setpriv" not in confined(_confinement(Sandbox.BUBBLEWRAP, own=False), "make")


@pytest.mark.parametrize(("own", "word"), [(True, "own"), (False, "caller")])
def test_the_labs_own_sandbox_is_a_program_started_by_its_path(own: bool, word: str) -> None:
    words = confined(_confinement(Sandbox.OWN, own=own), "make x")

    program = f"{sys.executable} -I -S -B {Path(confine.__file__).resolve()}"
    assert " ".join(words[:-3]) == f"{_PREFIX} {_ENV} {program} 7 /sys {BUILD_ID} {word}"
    assert words[-1].endswith("exec 3<&-; cd /build && make x")


def test_the_maps_have_the_caller_as_root_and_the_builds_user_if_there_is_one() -> None:
    plain = Identity(uid=1000, gid=100)
    own = Identity(uid=1000, gid=100, build_uid=165535, build_gid=265535)

    assert maps(plain) == ("0 1000 1\n", "0 100 1\n")
    assert maps(own) == ("0 1000 1\n60700 165535 1\n", "0 100 1\n60700 265535 1\n")


@pytest.mark.parametrize(
    ("own", "kernel", "is_limited"),
    [(True, "5.10.0-30-amd64", True), (False, "5.10.0-30-amd64", False), (False, "6.1.0", True), (False, "5.14", True)],
)
def test_processes_are_limited_where_the_callers_others_do_not_count(own: bool, kernel: str, is_limited: bool) -> None:
    identity = Identity(uid=1000, gid=1000, build_uid=9 if own else None, build_gid=9 if own else None)

    assert ("nproc" in limits_of(identity, kernel=kernel, hard={})) is is_limited


def test_a_lower_limit_of_the_caller_is_kept() -> None:
    limits = limits_of(Identity(uid=0, gid=0), kernel="6.1", hard={"as": 1000, "fsize": 2**60})

    assert limits == {"as": 1000, "fsize": 2**30, "core": 1, "nofile": 1024, "nproc": 512}


@pytest.mark.parametrize(
    ("rows", "last"),
    [
        (["ann:100000:65536"], 165535),
        (["bob:100000:65536", "1000:200000:10"], 200009),
        (["bob:100000:65536"], None),
        (["", "# a comment", "ann", "ann:x:y", "ann:5:0"], None),
    ],
)
def test_the_last_subordinate_id_of_a_user_is_found(rows: list[str], last: int | None) -> None:
    assert last_subordinate(rows, ["1000", "ann"]) == last


def test_a_containers_users_may_not_include_the_builds() -> None:
    assert covers("         0          0 4294967295\n", BUILD_ID)
    assert covers("0 100000 65536\n", BUILD_ID)
    assert not covers("0 1000 1\n1 100000 1000\n", BUILD_ID)


def test_a_tool_root_that_only_its_owner_may_read_is_built_in_by_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "usr", tmp_path / "usr" / "bin"):
        folder.chmod(0o755)
    assert read_identity(tmp_path).build_uid == BUILD_ID

    (tmp_path / "usr").chmod(0o700)

    assert not read_identity(tmp_path).has_own_user


_CONFINED = "".join(f"Cap{name}:\t{'0' * 16}\n" for name in ("Inh", "Prm", "Eff", "Bnd", "Amb"))
_CONFINED += "Uid:\t60700\t60700\t60700\t60700\nNoNewPrivs:\t1\nSeccomp:\t2\n"


@pytest.mark.parametrize(
    ("old", "new", "missing"),
    [
        ("Uid:\t60700\t60700", "Uid:\t60700\t0", "its user is root"),
        ("CapBnd:\t0", "CapBnd:\t1", "capabilities are left"),
        ("NoNewPrivs:\t1", "NoNewPrivs:\t0", "privileges can be gained"),
        ("Seccomp:\t2", "Seccomp:\t0", "system calls are not filtered"),
    ],
)
def test_a_missing_part_of_the_sandbox_is_named(old: str, new: str, missing: str) -> None:
    assert unconfined(_CONFINED) == []
    assert unconfined(_CONFINED.replace(old, new)) == [missing]


def test_an_empty_status_proves_nothing() -> None:
    assert len(unconfined("")) == 4


def test_a_build_is_stopped_for_too_much_memory_or_too_many_processes() -> None:
    assert excess(Usage(processes=20, memory_mib=900), Hits()) == ""
    assert excess(Usage(processes=20, memory_mib=5000), Hits()) == "used more than 4096 MiB of memory"
    assert excess(Usage(processes=600, memory_mib=9), Hits()) == "ran more than 512 processes"


def test_a_limit_that_the_kernel_enforced_has_the_same_reason() -> None:
    assert excess(Usage(processes=0, memory_mib=0), Hits(memory=True)) == "used more than 4096 MiB of memory"
    assert excess(Usage(processes=0, memory_mib=0), Hits(processes=True)) == "ran more than 512 processes"


def test_the_file_system_takes_at_most_a_quarter_of_the_memory() -> None:
    assert (space_mib(24_000), space_mib(4_000)) == (2048, 1000)
