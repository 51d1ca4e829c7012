# SPDX-License-Identifier: MIT
"""Build commands that use too much or do not end, in a real tool root on the host: each with both sandboxes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hostile.build_attacks import MARK, attempt, is_marked, survivors
from vmlab.errors import BuildError
from vmlab.lab.testbed import Testbed
from vmlab.module.build_root import HostPlace
from vmlab.module.sandbox import PROCESSES, Sandbox
from vmlab.system.process import ProcessIdentity
from vmlab.system.wait import wait_until


def test_a_fork_bomb_ends(place: HostPlace) -> None:
    started = time.monotonic()
    try:
        # $0 marks its command line.
        output = place.run(f"perl -e '$0 = q({MARK}); 1 while 1 + fork >= 0' 2>&1; echo the end", timeout_s=3).output
    except BuildError as error:
        output = error.message

    assert "took longer than 3 s" in output or "the end" in output or f"{PROCESSES} processes" in output
    assert time.monotonic() - started < 60
    assert survivors() == []


def test_more_processes_than_the_limit_are_not_started(place: HostPlace) -> None:
    each = "$p = fork; last if !defined $p; $n++; sleep 20 if !$p"
    output = attempt(place, f"perl -e '$| = 1; for (1..{PROCESSES + 100}) {{ {each} }} print \"n=$n;\"; kill 9, -1'")

    assert int(output.split("n=")[1].split(";")[0]) < PROCESSES


@pytest.mark.parametrize("folder", ["/build", "/tmp", "/dev/shm"])
def test_the_disk_is_not_filled(
    vmlab_testbed: Testbed, sandbox: Sandbox, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmlab.module.stage.DISK_MIB", 32)
    place = HostPlace(vmlab_testbed.image, sandbox=sandbox)

    output = attempt(place, f"dd if=/dev/zero of={folder}/big bs=1M count=64; du -sm {folder}; ls -l {folder}/big")

    place.close()
    assert "No space left on device" in output


def test_a_build_that_starts_too_many_processes_fails_with_that_limit(place: HostPlace) -> None:
    started = f"n=0; while [ $n -lt {PROCESSES + 100} ]; do sleep 20 & n=$((n + 1)); done"

    with pytest.raises(BuildError, match=rf"^the build reached its limit of {PROCESSES} processes: .*fork"):
        place.run(started, timeout_s=60)


def test_a_build_that_fills_its_disk_fails_with_that_limit(
    vmlab_testbed: Testbed, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmlab.module.stage.DISK_MIB", 32)
    place = HostPlace(vmlab_testbed.image, sandbox=sandbox)

    with pytest.raises(BuildError, match=r"^the build reached its limit of 32 MiB of files: .*No space left on device"):
        place.run("dd if=/dev/zero of=big bs=1M count=64", timeout_s=60)

    place.close()


def test_the_disk_is_not_filled_with_empty_files(
    vmlab_testbed: Testbed, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmlab.module.stage.FILES", 100)
    place = HostPlace(vmlab_testbed.image, sandbox=sandbox)

    with pytest.raises(BuildError, match=r"^the build reached its limit of 200,000 files: .*No space left on device"):
        place.run("for n in $(seq 120); do : >file$n || exit 1; done", timeout_s=60)

    place.close()


@pytest.mark.parametrize("folder", ["/dev", "/dev/pts", "/", "/run", "/var/tmp", "/home", "/proc", "/sys"])
def test_no_other_directory_is_writable(place: HostPlace, folder: str) -> None:
    output = attempt(place, f"dd if=/dev/zero of={folder}/big bs=1M count=1 && echo written")

    assert "written" not in output


def test_a_file_has_a_largest_size(place: HostPlace) -> None:
    output = attempt(place, "truncate -s 2T sparse; dd if=/dev/zero of=sparse bs=1 count=1 seek=2T conv=notrunc")

    assert output.count("File size limit exceeded") == 2


def test_the_memory_of_one_process_is_limited(place: HostPlace) -> None:
    output = attempt(place, """perl -e '$x = "x" x (9 * 2 ** 30); print "filled"'""")

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
    output = attempt(
        place, "for each in /proc/[0-9]*; do echo 0 >$each/oom_score_adj; done; cat /proc/[0-9]*/oom_score_adj"
    )

    assert set(re.findall(r"^\d+$", output, re.MULTILINE)) == {"1000"}


def test_dev_zero_reads_as_zeros(place: HostPlace) -> None:
    assert place.run("head -c 3 /dev/zero | od -An -tx1", timeout_s=30).output == " 00 00 00\n"


def test_a_crash_starts_no_program_of_the_host(place: HostPlace) -> None:
    # core(5): with this limit the kernel starts none, whatever core_pattern says.
    assert place.run("grep -c 'Max core file size *1 *1 ' /proc/self/limits", timeout_s=30).output == "1\n"


def test_a_command_that_runs_for_ever_is_stopped(place: HostPlace) -> None:
    with pytest.raises(BuildError, match="took longer than 1 s and was stopped after the output 'begun'"):
        place.run(f"trap '' TERM HUP INT; echo begun; sleep {MARK}", timeout_s=1)

    assert survivors() == []


@pytest.mark.parametrize(
    "command", [f"setsid sleep {MARK} >/dev/null 2>&1 &", f"nohup sleep {MARK} &"], ids=["setsid", "nohup"]
)
def test_a_daemon_ends_with_the_command(place: HostPlace, command: str) -> None:
    started = time.monotonic()

    outcome = place.run(f"{command} sleep 0.1; echo the end", timeout_s=30)

    assert (outcome.status, "the end" in outcome.output) == (0, True)
    assert time.monotonic() - started < 25
    assert survivors() == []


def test_output_without_end_is_cut_in_the_middle(place: HostPlace) -> None:
    output = place.run("echo first; head -c 60000000 /dev/zero | tr '\\0' x; echo; echo last", timeout_s=50).output

    assert len(output) < 6 * 2**20
    assert output.startswith("first\nxxx")
    assert output.endswith("xxx\nlast\n")
    assert "bytes of output were cut here]" in output


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
        f"place.run('sleep {MARK}', timeout_s=60)\n"
    )
    words = [sys.executable, str(script), str(vmlab_testbed.image.tool_root), str(sandbox)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as lab:
        assert lab.stdout is not None
        stage = ProcessIdentity.of(int(lab.stdout.readline()))
        # Killed at once, while the build is still on its way into the sandbox.
        while not any(map(is_marked, Path("/proc").glob("[0-9]*/cmdline"))):
            pass
        lab.kill()

    assert survivors() == []
    wait_until(lambda: not stage.is_alive(), timeout_s=20, describe="the end of the sandbox")
