# SPDX-License-Identifier: MIT
"""A build's cgroup with a real kernel and systemd, in a guest: delegated to root and to a user, and not delegated."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from vmlab.guest.guest import Guest

_ROOT = Path(__file__).parents[2]
_ATTACK = "env PYTHONPATH=/tmp/attack python3 /tmp/attack/limited.py {}"
_SERVICE = f"""\
[Service]
Type=oneshot
User=lab
Delegate=yes
ExecStart={_ATTACK.format("%i")}
StandardOutput=truncate:/tmp/%i.json
"""
_DELEGATED = {
    "root": f"sudo systemd-run --quiet --scope -p Delegate=yes {_ATTACK}",
    # systemd-run makes a service only through D-Bus, which the guests do not have.
    "lab": "sudo systemctl start attack@{0} && cat /tmp/{0}.json",
}
"""Commands that run an attack as a user, in a delegated unit whose own cgroup has the attack's processes."""


@pytest.fixture
def attacked(guest: Guest, tmp_path: Path) -> Guest:
    """A guest with the lab's lowest layers and the attacks."""
    if not guest.run("python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'").ok:
        pytest.skip("the guest has no Python 3.11")
    archive, service = tmp_path / "attack.tar", tmp_path / "attack@.service"
    service.write_text(_SERVICE)
    with tarfile.open(archive, "w") as tar:
        for name in ("vmlab/__init__.py", "vmlab/errors.py", "vmlab/text.py", "vmlab/system"):
            tar.add(_ROOT / name, name)
        for path in (service, Path(__file__).with_name("limited.py")):
            tar.add(path, path.name)
    guest.put(archive, "/tmp/attack.tar")
    guest.succeed("mkdir /tmp/attack && tar -xf /tmp/attack.tar -C /tmp/attack")
    guest.succeed("sudo cp /tmp/attack/attack@.service /run/systemd/system && sudo systemctl daemon-reload")
    return guest


def _attack(guest: Guest, name: str, command: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(guest.succeed(command.format(name), timeout_s=guest.limits.command_s))
    return found


@pytest.mark.parametrize("user", list(_DELEGATED))
def test_the_kernel_ends_a_build_with_too_much_memory_or_too_many_processes(attacked: Guest, user: str) -> None:
    fitting, memory, processes, killed = (
        _attack(attacked, name, _DELEGATED[user]) for name in ("fitting", "memory", "processes", "killed")
    )

    gone = {"user": user, "memory": False, "over": False, "is_removed": True}
    limits = {"memory.max": str(64 * 2**20), "memory.oom.group": "1", "pids.max": "20"}
    assert fitting == {**gone, "is_inside": True, **limits}
    assert memory == {**gone, "memory": True, "status": -9}
    assert processes == {**gone, "over": True, "processes": 19}
    assert killed == {**gone, "was_left": True, "is_left": False}


def test_nothing_is_made_in_a_unit_that_is_not_delegated(attacked: Guest) -> None:
    before = attacked.succeed("find /sys/fs/cgroup -type d | sort")

    found = _attack(attacked, "fitting", f"sudo {_ATTACK}")

    assert "is not delegated" in found["refused"]
    assert attacked.succeed("find /sys/fs/cgroup -type d | sort") == before
