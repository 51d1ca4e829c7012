# SPDX-License-Identifier: MIT
"""virtme-ng compared with a fork: the same kernel on the same host, until `uname -r` is printed."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from forks import new_lab
from rows import Limit, Measured

from vmlab.image.image import Image
from vmlab.system.process import find_program

# Debian's cloud kernels lack 9p, which virtme-ng uses for its root file system.
TARGET = "debian12-6.1-generic"
_TIMES = 3
_MODULES = Path("/lib/modules")
# Its module finder reads the host's directory, so the guest's modules are placed there in a mount namespace.
_RUN = """
mount --bind "$1" /lib/modules && depmod "$2"
exec vng --disable-kvm --force-9p -r "$3" --cpus 2 --memory 1G -v -- uname -r
"""


def virtme_ng() -> Measured:
    """Time of a fork to its first command, with proof and login, as a share of virtme-ng's."""
    _require_programs()
    with new_lab() as lab, contextlib.ExitStack() as stack:
        (target,) = lab.matrix.select(TARGET)
        image = lab.testbed(target).image
        modules = stack.enter_context(_modules_of(image))
        with lab.testbed(target).fork():
            pass
        ours, theirs = [], []
        for _ in range(_TIMES):
            started = time.monotonic()
            with lab.testbed(target).fork() as running:
                assert running.guest.succeed("uname -r").strip() == image.release
                ours.append(time.monotonic() - started)
            theirs.append(_virtme_s(image, modules))
    mine, virtme = statistics.median(ours), statistics.median(theirs)
    told = {"fork": f"{mine:.2f} s", "virtme-ng": f"{virtme:.1f} s", "repetitions": f"{_TIMES} in turn, median"}
    return Measured(value=mine / virtme, conditions=told)


def _virtme_s(image: Image, modules: Path) -> float:
    started = time.monotonic()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
    script = ["sh", "-c", _RUN, "run", str(modules), image.release, str(image.kernel)]
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", *script],
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    # On an emulated machine without virtio ports it uses the console instead, which goes to standard error.
    if image.release not in (done.stdout + done.stderr).splitlines():
        raise RuntimeError(f"virtme-ng did not run the kernel: {(done.stdout + done.stderr)[-300:]!r}")
    return time.monotonic() - started


@contextlib.contextmanager
def _modules_of(image: Image) -> Iterator[Path]:
    """The kernel's modules from the image's disk, in a temporary directory."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        disk = Path(directory, "disk.raw")
        subprocess.run(["qemu-img", "convert", "-O", "raw", str(image.disk), str(disk)], check=True)
        debugfs = str(find_program("debugfs"))
        dump = [debugfs, "-R", f"rdump /usr/lib/modules {directory}", str(disk)]
        subprocess.run(dump, check=True, capture_output=True)
        yield Path(directory, "modules")


def _require_programs() -> None:
    missing = [name for name in ("modprobe", "debugfs", "busybox") if find_program(name) is None]
    if missing:
        raise RuntimeError(f"virtme-ng, and taking the modules out, want {', '.join(missing)}")
    if os.geteuid() != 0 or not _MODULES.is_dir():
        raise RuntimeError(f"mounting over {_MODULES} takes root and that directory")


LIMITS = (Limit(name="forks.virtme_ng", limit=1, unit="of virtme-ng", measure=virtme_ng),)
