# SPDX-License-Identifier: MIT
"""Build commands that try to leave their sandbox, in a real tool root on the host: each with both sandboxes."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from hostile.build_attacks import MARK, SECRET, attempt
from vmlab.lab.testbed import Testbed
from vmlab.module.build_root import HostPlace
from vmlab.module.sandbox import BUILD_ID
from vmlab.store.trees import tree_state


@pytest.mark.parametrize(
    "path", ["{}", "/proc/*/root{}", "/proc/*/cwd/../../../../../../..{}", "/proc/*/fd/*{}", "/../..{}", "/sys/../..{}"]
)
def test_a_file_of_the_host_is_not_reached(place: HostPlace, secret: Path, path: str) -> None:
    output = attempt(place, f"cat {path.format(secret)}")

    assert "the end" in output
    assert SECRET not in output


def test_the_hosts_users_and_hosts_file_are_not_seen(place: HostPlace, vmlab_testbed: Testbed) -> None:
    output = attempt(place, "cat /etc/shadow; hostname")

    own = vmlab_testbed.image.tool_root / "etc" / "shadow"
    expected = own.read_text() if own.is_file() and os.access(own, os.R_OK) else ""
    assert all(line in expected for line in Path("/etc/shadow").read_text().splitlines() if line in output)
    assert output.splitlines()[-2] == "vmlab"


def test_the_labs_environment_is_not_seen(place: HostPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)

    output = attempt(place, "env; cat /proc/*/environ /proc/*/task/*/environ")

    assert "HOME=/build" in output
    assert SECRET not in output


def test_the_hosts_processes_are_not_seen_or_signalled(place: HostPlace) -> None:
    with subprocess.Popen(["sleep", MARK]) as victim:
        output = attempt(place, f"cat /proc/*/cmdline; kill -9 {victim.pid} {os.getpid()}; kill -9 -1")
        assert victim.poll() is None
        victim.kill()

    assert MARK not in output.replace(f"kill -9 {victim.pid}", "")


@pytest.mark.parametrize("name", ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"])
def test_a_build_has_a_namespace_of_its_own(place: HostPlace, name: str) -> None:
    inside = place.run(f"readlink /proc/self/ns/{name}", timeout_s=30).output.strip()

    assert inside.startswith(f"{name}:[")
    assert inside != str(Path(f"/proc/self/ns/{name}").readlink())


@pytest.mark.parametrize(
    "command",
    [
        "touch /planted /usr/bin/planted /lib/planted",
        "cp /bin/true /usr/bin/make; ln -sf /bin/true /usr/bin/gcc",
        "chmod 777 / /usr/bin /usr/bin/make; chown 60700 /usr/bin",
        "mount -o remount,rw /; mount -o remount,bind,rw /; touch /planted",
        "umount -l /build /tmp /dev /proc /; mount --bind /tmp /usr/bin",
        "unshare -Ur mount -o remount,rw /; unshare -Urm sh -c 'mount -o remount,bind,rw / && touch /planted'",
        "echo x >/proc/self/root/planted; echo x >/proc/1/root/planted",
        "mv /build /moved; rmdir /proc /dev",
    ],
)
def test_the_sealed_tool_root_is_not_changed(place: HostPlace, vmlab_testbed: Testbed, command: str) -> None:
    root = vmlab_testbed.image.tool_root

    def state() -> list[str]:
        return [*(tree_state(root / name) for name in ("usr/bin", "etc", "dev")), *sorted(map(str, root.iterdir()))]

    before = state()

    attempt(place, command)

    assert state() == before


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_listener_on_the_hosts_loopback_is_not_reached(place: HostPlace, address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        port = listener.getsockname()[1]
        output = attempt(place, f"bash -c 'echo x >/dev/tcp/{address}/{port} && echo reached'")

        with pytest.raises(TimeoutError):
            listener.accept()
    assert "reached" not in output


def test_an_abstract_socket_of_the_host_is_not_reached(place: HostPlace) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{SECRET}")
        listener.listen()
        code = f'socket(S, AF_UNIX, SOCK_STREAM, 0); print connect(S, pack("Sa*", 1, "\\0{SECRET}")) ? "reached" : $!'
        output = attempt(place, f"perl -MSocket -e '{code}'")

    assert "Connection refused" in output


# The calls' numbers on x86_64, with arguments that an ordinary process could use.
_CALLS = {
    "ptrace": "101, 0, 0, 0, 0",
    "syslog": "103, 3, 0, 0",
    "pivot_root": '155, ".", "."',
    "chroot": '161, "/tmp"',
    "mount": '165, "none", "/tmp", "tmpfs", 0, 0',
    "umount2": '166, "/tmp", 2',
    "sethostname": '170, "x", 1',
    "init_module": '175, "x", 1, ""',
    "add_key": '248, "user", "x", "y", 1, -4',
    "request_key": '249, "user", "x", 0, -4',
    "keyctl": "250, 0, -3, 0",
    "unshare": "272, 0x10000000",
    "perf_event_open": '298, "\\0" x 128, 0, -1, -1, 0',
    "name_to_handle_at": '303, -100, "/", "\\0" x 256, "\\0" x 8, 0',
    "open_by_handle_at": '304, 0, "\\0" x 256, 0',
    "setns": "308, 0, 0",
    "process_vm_readv": "310, 1, 0, 0, 0, 0, 0",
    "finit_module": '313, 0, "", 0',
    "bpf": '321, 0, "\\0" x 128, 128',
    "userfaultfd": "323, 1",
    "shmget": "29, 0, 4096, 0x3b6",
    "semget": "64, 0, 1, 0x3b6",
    "msgget": "68, 0, 0x3b6",
    "mq_open": '240, "x", 0102, 0600, 0',
    "sync": "162",
    "syncfs": "306, 0",
    "memfd_create": '319, "x", 0',
    "memfd_secret": "447, 0",
    "io_uring_setup": '425, 1, "\\0" x 256',
    "clone3": '435, "\\0" x 88, 88',
    "clone with namespaces": "56, 0x10000011, 0, 0, 0, 0",
    "socket of vsock": "41, 40, 1, 0",
    "socket of netlink": "41, 16, 3, 0",
    "socket of packets": "41, 17, 3, 0",
    "socket of the kernel's ciphers": "41, 38, 5, 0",
    "an x32 call": "0x40000027",
}


@pytest.mark.parametrize("name", list(_CALLS))
def test_a_dangerous_system_call_is_denied(place: HostPlace, name: str) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers are x86_64's")
    output = attempt(
        place, f"""perl -e '@call = ({_CALLS[name]}); $r = syscall(shift @call, @call); print "$r: $!\n"'"""
    )

    assert output.splitlines()[0] in ("-1: Operation not permitted", "-1: Function not implemented")


@pytest.mark.parametrize(
    "name",
    [
        *("kernel/core_pattern", "kernel/pid_max", "kernel/sem", "vm/overcommit_memory"),
        *("fs/suid_dumpable", "fs/protected_symlinks"),
    ],
)
def test_a_sysctl_is_not_written(place: HostPlace, name: str) -> None:
    path = Path("/proc/sys", name)
    before = path.read_text()

    output = attempt(place, f"echo 1 >/proc/sys/{name} && echo written; echo b >/proc/sysrq-trigger && echo written")

    assert "written" not in output
    assert path.read_text() == before


def test_a_device_is_not_made_and_a_memory_device_not_there(place: HostPlace) -> None:
    output = attempt(
        place, "mknod mem c 1 1 && cat mem; mknod disk b 254 0 && cat disk; cat /dev/mem /dev/kmsg; ls /dev"
    )

    assert output.count("Operation not permitted") == 2
    assert output.count("No such file or directory") == 2
    assert {"vda", "sda", "kvm", "loop0", "mem"}.isdisjoint(output.split())


def test_a_setuid_program_that_is_left_has_no_effect(place: HostPlace, tmp_path: Path) -> None:
    output = attempt(place, "cp /usr/bin/id . && chmod 6755 id && ./id; cp id x.ko")
    place.get("x.ko", tmp_path / "x.ko")

    assert "euid=" not in output
    assert f"uid={BUILD_ID}" in output
    assert (tmp_path / "x.ko").stat().st_mode & 0o7000 == 0


def test_a_build_of_root_is_another_user_of_the_host(place: HostPlace) -> None:
    if os.geteuid() != 0:
        pytest.skip("an ordinary user's build may be that user's")
    attempt(place, "touch own")

    assert Path(f"/proc/{place._stage.pid}/root/sys/build/own").stat().st_uid == BUILD_ID
