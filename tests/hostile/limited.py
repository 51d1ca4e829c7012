# SPDX-License-Identifier: MIT
"""Attacks on the limits of a cgroup, for Python 3.11 in a guest: limited.py ATTACK.

Prints a JSON object. It uses nothing of vmlab but its lowest layers, which need no library.
"""

from __future__ import annotations

import getpass
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from vmlab.errors import HostError
from vmlab.system.cgroup import Cgroup
from vmlab.system.process import ProcessIdentity

_MIB, _PROCESSES = 64, 20
_HOG = "import time; x = b'x' * (30 * 2**20); time.sleep(60)"


def _memory() -> dict[str, object]:
    """Four processes of 30 MiB each under a limit of 64 MiB: all must be killed."""
    cgroup = Cgroup(memory_mib=_MIB, processes=_PROCESSES)
    words = cgroup.entered_by(["sh", "-c", f'for n in 1 2 3 4; do python3 -c "{_HOG}" & done; wait'])
    status = subprocess.run(words, check=False).returncode
    return {"status": status, **_ended(cgroup)}


def _processes() -> dict[str, object]:
    """More processes than the limit of 20: the others are not started."""
    cgroup = Cgroup(memory_mib=_MIB, processes=_PROCESSES)
    code = "import os\nfor n in range(100):\n  if not os.fork(): import time; time.sleep(60)"
    with subprocess.Popen(cgroup.entered_by(["python3", "-c", code]), stderr=subprocess.DEVNULL) as child:
        child.wait()
        left = len((cgroup.path / "cgroup.procs").read_text().split())
    return {"processes": left, **_ended(cgroup)}


def _fitting() -> dict[str, object]:
    """A command within the limits."""
    cgroup = Cgroup(memory_mib=_MIB, processes=_PROCESSES)
    output = subprocess.run(cgroup.entered_by(["cat", "/proc/self/cgroup"]), capture_output=True, text=True, check=True)
    limits = {name: (cgroup.path / name).read_text().strip() for name in ("memory.max", "memory.oom.group", "pids.max")}
    return {"is_inside": output.stdout.strip().endswith(f"/{cgroup.path.name}"), **limits, **_ended(cgroup)}


def _killed() -> dict[str, object]:
    """A lab that is killed, with a process that outlives it: the next lab must end both process and cgroup."""
    code = "from vmlab.system.cgroup import Cgroup; import subprocess, time; c = Cgroup(memory_mib=64, processes=20);"
    code += "print(c.path, flush=True); subprocess.Popen(c.entered_by(['sleep', '600'])).wait()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as lab:
        assert lab.stdout is not None
        left = Path(lab.stdout.readline().strip())
        while not (pids := (left / "cgroup.procs").read_text().split()):
            time.sleep(0.05)
        survivor = ProcessIdentity.of(int(pids[0]))
        lab.send_signal(signal.SIGKILL)
    was_left = left.exists() and survivor.is_alive()
    cgroup = Cgroup(memory_mib=_MIB, processes=_PROCESSES)
    return {"was_left": was_left, "is_left": left.exists() or survivor.is_alive(), **_ended(cgroup)}


def _ended(cgroup: Cgroup) -> dict[str, object]:
    hits = cgroup.hits()
    cgroup.close()
    return {"memory": hits.memory, "over": hits.processes, "is_removed": not cgroup.path.exists()}


_ATTACKS: dict[str, Callable[[], dict[str, object]]] = {
    "memory": _memory,
    "processes": _processes,
    "fitting": _fitting,
    "killed": _killed,
}

if __name__ == "__main__":
    try:
        result = _ATTACKS[sys.argv[1]]()
    except HostError as error:
        result = {"refused": error.message}
    print(json.dumps({"user": getpass.getuser(), **result}))
