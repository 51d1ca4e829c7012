# SPDX-License-Identifier: MIT
"""Build commands that try to leave their sandbox, in a real tool root on the host: each with both sandboxes."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vmlab.errors import BuildError
from vmlab.lab.testbed import Testbed
from vmlab.module.build import build_module
from vmlab.module.build_root import HostPlace
from vmlab.module.sandbox import BUILD_ID, PROCESSES, Sandbox
from vmlab.module.source import read_source
from vmlab.settings import BuildPlace, CompilerPolicy
from vmlab.store.store import Store
from vmlab.store.trees import tree_state
from vmlab.system.process import ProcessIdentity, find_program
from vmlab.system.wait import wait_until

_SECRET = "b5d1e0-the-hosts-secret"
_MARK = f"987654.{os.getpid()}"
"""Seconds that a sleep which must not survive sleeps: its command line is found by it, and is no other run's."""


@pytest.fixture(params=list(Sandbox))
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    chosen: Sandbox = request.param
    if chosen is Sandbox.BUBBLEWRAP and find_program("bwrap") is None:
        pytest.skip("bubblewrap is not installed: `vmlab setup` does it")
    return chosen


@pytest.fixture
def place(vmlab_testbed: Testbed, sandbox: Sandbox) -> Iterator[HostPlace]:
    opened = HostPlace(vmlab_testbed.image, sandbox=sandbox)
    yield opened
    opened.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(_SECRET)
    path.chmod(0o600)
    return path


def _attempt(place: HostPlace, command: str) -> str:
    return place.run(f"{{ {command}\n}} 2>&1; echo the end", timeout_s=30).output


def _survivors() -> list[str]:
    """Processes on this host with the mark in their command lines, after a moment for the kernel to end them."""
    for _ in range(200):
        found = [str(path) for path in Path("/proc").glob("[0-9]*/cmdline") if _is_marked(path)]
        if not found:
            return []
        time.sleep(0.1)
    return found


def _is_marked(path: Path) -> bool:
    try:
        return _MARK.encode() in path.read_bytes()
    except OSError:
        return False


@pytest.mark.parametrize(
    "path", ["{}", "/proc/*/root{}", "/proc/*/cwd/../../../../../../..{}", "/proc/*/fd/*{}", "/../..{}", "/sys/../..{}"]
)
def test_a_file_of_the_host_is_not_reached(place: HostPlace, secret: Path, path: str) -> None:
    output = _attempt(place, f"cat {path.format(secret)}")

    assert "the end" in output
    assert _SECRET not in output


def test_the_hosts_users_and_hosts_file_are_not_seen(place: HostPlace, vmlab_testbed: Testbed) -> None:
    output = _attempt(place, "cat /etc/shadow; hostname")

    own = vmlab_testbed.image.tool_root / "etc" / "shadow"
    expected = own.read_text() if own.is_file() and os.access(own, os.R_OK) else ""
    assert all(line in expected for line in Path("/etc/shadow").read_text().splitlines() if line in output)
    assert output.splitlines()[-2] == "vmlab"


def test_the_labs_environment_is_not_seen(place: HostPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", _SECRET)

    output = _attempt(place, "env; cat /proc/*/environ /proc/*/task/*/environ")

    assert "HOME=/build" in output
    assert _SECRET not in output


def test_the_hosts_processes_are_not_seen_or_signalled(place: HostPlace) -> None:
    with subprocess.Popen(["sleep", _MARK]) as victim:
        output = _attempt(place, f"cat /proc/*/cmdline; kill -9 {victim.pid} {os.getpid()}; kill -9 -1")
        assert victim.poll() is None
        victim.kill()

    assert _MARK not in output.replace(f"kill -9 {victim.pid}", "")


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

    _attempt(place, command)

    assert state() == before


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_listener_on_the_hosts_loopback_is_not_reached(place: HostPlace, address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        port = listener.getsockname()[1]
        output = _attempt(place, f"bash -c 'echo x >/dev/tcp/{address}/{port} && echo reached'")

        with pytest.raises(TimeoutError):
            listener.accept()
    assert "reached" not in output


def test_an_abstract_socket_of_the_host_is_not_reached(place: HostPlace) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{_SECRET}")
        listener.listen()
        code = f'socket(S, AF_UNIX, SOCK_STREAM, 0); print connect(S, pack("Sa*", 1, "\\0{_SECRET}")) ? "reached" : $!'
        output = _attempt(place, f"perl -MSocket -e '{code}'")

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
    output = _attempt(
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

    output = _attempt(place, f"echo 1 >/proc/sys/{name} && echo written; echo b >/proc/sysrq-trigger && echo written")

    assert "written" not in output
    assert path.read_text() == before


def test_a_device_is_not_made_and_a_memory_device_not_there(place: HostPlace) -> None:
    output = _attempt(
        place, "mknod mem c 1 1 && cat mem; mknod disk b 254 0 && cat disk; cat /dev/mem /dev/kmsg; ls /dev"
    )

    assert output.count("Operation not permitted") == 2
    assert output.count("No such file or directory") == 2
    assert {"vda", "sda", "kvm", "loop0", "mem"}.isdisjoint(output.split())


def test_a_setuid_program_that_is_left_has_no_effect(place: HostPlace, tmp_path: Path) -> None:
    output = _attempt(place, "cp /usr/bin/id . && chmod 6755 id && ./id; cp id x.ko")
    place.get("x.ko", tmp_path / "x.ko")

    assert "euid=" not in output
    assert f"uid={BUILD_ID}" in output
    assert (tmp_path / "x.ko").stat().st_mode & 0o7000 == 0


def test_a_build_of_root_is_another_user_of_the_host(place: HostPlace) -> None:
    if os.geteuid() != 0:
        pytest.skip("an ordinary user's build may be that user's")
    _attempt(place, "touch own")

    assert Path(f"/proc/{place._stage.pid}/root/sys/build/own").stat().st_uid == BUILD_ID


def test_a_fork_bomb_ends(place: HostPlace) -> None:
    started = time.monotonic()
    try:
        # $0 marks its command line.
        output = place.run(f"perl -e '$0 = q({_MARK}); 1 while 1 + fork >= 0' 2>&1; echo the end", timeout_s=3).output
    except BuildError as error:
        output = error.message

    assert "took longer than 3 s" in output or "the end" in output or f"{PROCESSES} processes" in output
    assert time.monotonic() - started < 60
    assert _survivors() == []


def test_more_processes_than_the_limit_are_not_started(place: HostPlace) -> None:
    each = "$p = fork; last if !defined $p; $n++; sleep 20 if !$p"
    output = _attempt(place, f"perl -e '$| = 1; for (1..{PROCESSES + 100}) {{ {each} }} print \"n=$n;\"; kill 9, -1'")

    assert int(output.split("n=")[1].split(";")[0]) < PROCESSES


@pytest.mark.parametrize("folder", ["/build", "/tmp", "/dev/shm"])
def test_the_disk_is_not_filled(
    vmlab_testbed: Testbed, sandbox: Sandbox, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmlab.module.stage.DISK_MIB", 32)
    place = HostPlace(vmlab_testbed.image, sandbox=sandbox)

    output = _attempt(place, f"dd if=/dev/zero of={folder}/big bs=1M count=64; du -sm {folder}; ls -l {folder}/big")

    place.close()
    assert "No space left on device" in output


def test_the_disk_is_not_filled_with_empty_files(
    vmlab_testbed: Testbed, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmlab.module.stage.FILES", 100)
    place = HostPlace(vmlab_testbed.image, sandbox=sandbox)

    output = _attempt(place, "for n in $(seq 120); do : >file$n; done")

    place.close()
    assert "No space left on device" in output


@pytest.mark.parametrize("folder", ["/dev", "/dev/pts", "/", "/run", "/var/tmp", "/home", "/proc", "/sys"])
def test_no_other_directory_is_writable(place: HostPlace, folder: str) -> None:
    output = _attempt(place, f"dd if=/dev/zero of={folder}/big bs=1M count=1 && echo written")

    assert "written" not in output


def test_a_file_has_a_largest_size(place: HostPlace) -> None:
    output = _attempt(place, "truncate -s 2T sparse; dd if=/dev/zero of=sparse bs=1 count=1 seek=2T conv=notrunc")

    assert output.count("File size limit exceeded") == 2


def test_the_memory_of_one_process_is_limited(place: HostPlace) -> None:
    output = _attempt(place, """perl -e '$x = "x" x (9 * 2 ** 30); print "filled"'""")

    assert "filled" not in output


def test_the_memory_of_many_processes_is_limited(place: HostPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmlab.module.build_root.MEMORY_MIB", 200)

    with pytest.raises(BuildError, match="used more than 200 MiB of memory and was stopped"):
        place.run("""for n in 1 2 3 4; do perl -e '$x = "x" x 8e7; sleep 60' & done; wait""", timeout_s=50)


# Programs that fill 300 MiB where /proc/PID/status of their first process does not show it as resident memory.
_FILL = {
    "a thread whose leader has ended": """
static void *fill(void *unused) { char *p = malloc(3e8); memset(p, 1, 3e8); sleep(60); return p; }
int main(void) { pthread_t thread; pthread_create(&thread, 0, fill, 0); pthread_exit(0); }""",
    "page tables": """
int main(void) {
    for (int n = 0; n < 24 && fork(); n++) ;
    char *p = mmap(0, 7UL << 30, 1, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), sum = 0;
    madvise(p, 7UL << 30, MADV_NOHUGEPAGE);
    for (size_t at = 0; at < 7UL << 30; at += 2 << 20) sum += *(volatile char *)(p + at);
    sleep(60);
}""",
}


@pytest.mark.parametrize("name", list(_FILL))
def test_memory_that_is_not_resident_in_a_main_thread_is_limited(
    place: HostPlace, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmlab.module.build_root.MEMORY_MIB", 200)

    with pytest.raises(BuildError, match="used more than 200 MiB of memory and was stopped"):
        place.run(_compiled(_FILL[name]), timeout_s=50)


# Pages of shared memory outlast their unmapping, and no process then has them.
@pytest.mark.parametrize(
    "call",
    [
        "mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0)",
        'mmap(0, 4096, 3, MAP_SHARED, open("/dev/zero", O_RDWR), 0)',
    ],
)
def test_shared_memory_without_a_file_is_not_made(place: HostPlace, call: str) -> None:
    output = place.run(
        _compiled(f"int main(void) {{ void *p = {call}; perror(p == MAP_FAILED ? 0 : p); }}"), timeout_s=50
    ).output

    assert output in ("Operation not permitted\n", "No such device\n")


def _compiled(code: str) -> str:
    """Shell command that compiles a C program and runs it."""
    names = ("fcntl", "pthread", "stdio", "stdlib", "string", "unistd", "sys/mman")
    includes = " ".join(f"-include {name}.h" for name in names)
    return f"printf %s {shlex.quote(code)} | gcc -w -O1 -pthread {includes} -x c -o program - && ./program"


def test_a_build_does_not_become_less_likely_to_be_ended_for_want_of_memory(place: HostPlace) -> None:
    output = _attempt(
        place, "for each in /proc/[0-9]*; do echo 0 >$each/oom_score_adj; done; cat /proc/[0-9]*/oom_score_adj"
    )

    assert set(re.findall(r"^\d+$", output, re.MULTILINE)) == {"1000"}


def test_dev_zero_reads_as_zeros(place: HostPlace) -> None:
    assert place.run("head -c 3 /dev/zero | od -An -tx1", timeout_s=30).output == " 00 00 00\n"


def test_a_crash_starts_no_program_of_the_host(place: HostPlace) -> None:
    # core(5): with this limit the kernel starts none, whatever core_pattern says.
    assert place.run("grep -c 'Max core file size *1 *1 ' /proc/self/limits", timeout_s=30).output == "1\n"


def test_a_command_that_runs_for_ever_is_stopped(place: HostPlace) -> None:
    with pytest.raises(BuildError, match="took longer than 1 s and was stopped: trap"):
        place.run(f"trap '' TERM HUP INT; sleep {_MARK}", timeout_s=1)

    assert _survivors() == []


@pytest.mark.parametrize(
    "command", [f"setsid sleep {_MARK} >/dev/null 2>&1 &", f"nohup sleep {_MARK} &"], ids=["setsid", "nohup"]
)
def test_a_daemon_ends_with_the_command(place: HostPlace, command: str) -> None:
    started = time.monotonic()

    outcome = place.run(f"{command} sleep 0.1; echo the end", timeout_s=30)

    assert (outcome.status, "the end" in outcome.output) == (0, True)
    assert time.monotonic() - started < 25
    assert _survivors() == []


def test_output_without_end_is_cut_in_the_middle(place: HostPlace) -> None:
    output = place.run("echo first; head -c 60000000 /dev/zero | tr '\\0' x; echo; echo last", timeout_s=50).output

    assert len(output) < 6 * 2**20
    assert output.startswith("first\nxxx")
    assert output.endswith("xxx\nlast\n")
    assert "bytes of output were cut here]" in output


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
    _attempt(place, command.replace("SECRET", str(secret)))

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
    _attempt(place, command.format(secret.parent))

    with pytest.raises(BuildError, match=r"is reached through a symbolic link|leads out of its directory"):
        place.get(name.format(secret.parent), tmp_path / "got")


@pytest.mark.parametrize(
    "command", ["ln -s {} fib", "mkdir fib; ln -s {} fib/src", "mkdir fib; ln -s {}/secret fib/Kbuild"]
)
def test_sources_are_not_copied_through_a_link(place: HostPlace, secret: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "fib" / "src").mkdir(parents=True)
    (tmp_path / "fib" / "Kbuild").write_text("obj-m := fib.o\n")
    (tmp_path / "fib" / "src" / "secret").write_text("replaced")
    _attempt(place, command.format(secret.parent))

    with contextlib.suppress(BuildError):
        place.put_tree(read_source(tmp_path / "fib"), "fib")

    assert secret.read_text() == _SECRET
    assert sorted(path.name for path in secret.parent.iterdir()) == ["fib", "secret"]


def test_a_killed_lab_leaves_no_build_behind(vmlab_testbed: Testbed, sandbox: Sandbox, tmp_path: Path) -> None:
    script = tmp_path / "lab.py"
    script.write_text(
        "import dataclasses, pathlib, sys\n"
        "from vmlab.module.build_root import HostPlace\n"
        "from vmlab.module.sandbox import Sandbox\n"
        "from vmlab.testing import image\n"
        "made = dataclasses.replace(image(pathlib.Path('/i')), tool_root=pathlib.Path(sys.argv[1]))\n"
        "place = HostPlace(made, sandbox=Sandbox(sys.argv[2]))\n"
        "print(place._stage.pid, flush=True)\n"
        f"place.run('sleep {_MARK}', timeout_s=60)\n"
    )
    words = [sys.executable, str(script), str(vmlab_testbed.image.tool_root), str(sandbox)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as lab:
        assert lab.stdout is not None
        stage = ProcessIdentity.of(int(lab.stdout.readline()))
        while not any(map(_is_marked, Path("/proc").glob("[0-9]*/cmdline"))):
            time.sleep(0.05)
        lab.kill()

    assert _survivors() == []
    wait_until(lambda: not stage.is_alive(), timeout_s=20, describe="the end of the sandbox")


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
    monkeypatch.setenv("TOKEN", _SECRET)
    (tmp_path / "fib").mkdir()
    (tmp_path / "fib" / "Kbuild").write_text("obj-m :=\n$(shell cd /build/fib && sh gen.sh)\n")
    (tmp_path / "fib" / "gen.sh").write_text(
        f"[ -e made ] && exit\ntouch made\n{script.replace('/SECRET', str(secret))}\n"
    )

    with pytest.raises(BuildError, match=reason) as caught:
        build_module(
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
