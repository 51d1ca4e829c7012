# SPDX-License-Identifier: MIT
"""`make` and `make install` as a user runs them, with the target's tools, into a separate tree."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from vmlab.guest.guest import Guest
from vmlab.lab.lab import Lab
from vmlab.lab.testbed import Testbed

from .probe import DEVICE

pytestmark = pytest.mark.thorough

_INSTALLED = {
    "usr/local/bin/fibctl",
    "usr/local/include/fibdrv.h",
    "usr/local/share/man/man4/fibonacci.4",
    "etc/udev/rules.d/60-fibonacci.rules",
}
_RELOAD = "udevadm control --reload && udevadm control --ping"
"""udevd answers the ping after it has read the rules; the reload alone returns at once."""


def test_make_is_silent_at_w1_and_make_install_honours_install_mod_path(
    vmlab_testbed: Testbed, shared_guest: Guest
) -> None:
    source, release = vmlab_testbed.run.source, vmlab_testbed.image.release
    limit_s = vmlab_testbed.limits.build_s
    # Debian 13 compresses its modules, and the lab's images lack xz.
    options = f"KERNELRELEASE={release} INSTALL_MOD_PATH=/build/tree CONFIG_MODULE_COMPRESS_XZ="
    make = f"make -C fibdrv {options}"
    with vmlab_testbed.place() as place:
        place.put_tree(source, "fibdrv")
        listing = "cd /build/tree && find . -type f ! -name 'modules.*' | cut -c3-"
        # Kernel developers enable W=1 warnings one by one: a driver free of them stays free of warnings.
        done = place.run(f"{make} W=1 module", timeout_s=limit_s)
        assert done.status == 0, done.output
        warnings = [line for line in done.output.splitlines() if "warning:" in line and "compiler differs" not in line]
        assert warnings == []
        done = place.run(f"{make} W=1 install && {listing} > ../listing", timeout_s=limit_s)
        assert done.status == 0, done.output
        found = set(place.run("cat listing", timeout_s=limit_s).output.split())
        modules = {path for path in found if path.endswith((".ko", ".ko.xz", ".ko.zst"))}
        assert found - modules == _INSTALLED
        assert len(modules) == 1
        assert modules.pop().startswith(f"lib/modules/{release}/")
        done = place.run(f"{make} uninstall && {listing} > ../listing", timeout_s=limit_s)
        assert done.status == 0, done.output
        assert place.run("cat listing", timeout_s=limit_s).output == ""


def test_udev_rule_gives_the_node_to_all_readers_and_to_services(
    guest: Guest, unloaded_module: str, vmlab_lab: Lab
) -> None:
    rule = vmlab_lab.source.directory / "packaging" / "60-fibonacci.rules"
    with tempfile.TemporaryDirectory() as directory:
        # A rule that runs earlier and removes everyone's access to the node.
        stern = Path(directory, "50-stern.rules")
        stern.write_text('KERNEL=="fibonacci", MODE="0600"\n', encoding="utf-8")
        for file in (stern, rule):
            guest.put(file, f"/tmp/{file.name}")
    mode = f"udevadm settle; stat -c %a {DEVICE}"
    guest.as_root(f"cp /tmp/50-stern.rules /etc/udev/rules.d/ && {_RELOAD}")
    assert guest.as_root(f"insmod {unloaded_module} && {mode}").strip() == "600"
    guest.as_root(f"rmmod fibdrv && cp /tmp/60-fibonacci.rules /etc/udev/rules.d/ && {_RELOAD}")
    assert guest.as_root(f"insmod {unloaded_module} && {mode}").strip() == "444"
    guest.as_root("systemctl is-active dev-fibonacci.device")
