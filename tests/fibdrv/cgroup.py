# SPDX-License-Identifier: MIT
"""A cgroup with a memory limit in a guest."""

from __future__ import annotations

from vmlab.guest.guest import Guest

CGROUP = "/sys/fs/cgroup/fibdrv-test"


def make_cgroup(guest: Guest, limit: str) -> None:
    """Create a cgroup with a memory limit and a sleeping second process."""
    guest.as_root(f"""
echo +memory > /sys/fs/cgroup/cgroup.subtree_control
mkdir {CGROUP}
echo {limit} > {CGROUP}/memory.max
if [ -e {CGROUP}/memory.swap.max ]; then echo 0 > {CGROUP}/memory.swap.max; fi
sh -c 'echo $$ > {CGROUP}/cgroup.procs; exec sleep 1000' > /dev/null 2>&1 &
echo $! > /tmp/bystander
""")


def inside_cgroup(command: str) -> str:
    """A command line that runs the command in the cgroup and prints the end of its output."""
    return f"LC_ALL=C sh -c 'echo $$ > {CGROUP}/cgroup.procs; exec {command}' 2>&1 | tail -c 200"


def require_nobody_killed(guest: Guest) -> None:
    """Assert that the OOM killer ended no process of the cgroup."""
    events = dict(line.split() for line in guest.read(f"{CGROUP}/memory.events").splitlines())
    assert events["oom_kill"] == "0"
    guest.as_root("kill -0 $(cat /tmp/bystander)")
