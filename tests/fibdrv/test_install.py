# SPDX-License-Identifier: MIT
"""`make` and `make install` as a user runs them, with the target's own tools, into a tree of their own."""

from __future__ import annotations

import contextlib

from vmlab.guest.guest import Guest
from vmlab.lab import Lab
from vmlab.target import Target

from .variants import place_for

_INSTALLED = {
    "usr/local/bin/fibctl",
    "usr/local/include/fibdrv.h",
    "usr/local/share/man/man4/fibonacci.4",
    "etc/udev/rules.d/60-fibonacci.rules",
}


def test_make_install_honours_install_mod_path_and_uninstall_takes_it_away(
    vmlab_lab: Lab, target: Target, shared_guest: Guest
) -> None:
    source, release = vmlab_lab.source, vmlab_lab.image(target).release
    limit_s = vmlab_lab.limits(target).build_s
    make = f"make -C fibdrv KERNELRELEASE={release} INSTALL_MOD_PATH=/build/tree"
    with contextlib.closing(place_for(vmlab_lab, target, shared_guest)()) as place:
        place.put_tree(source.directory, list(source.files), "fibdrv")
        listing = "cd /build/tree && find . -type f ! -name 'modules.*' | cut -c3-"
        done = place.run(f"{make} W=1 install && {listing} > ../listing && cat ../listing", timeout_s=limit_s)
        assert done.status == 0, done.output
        assert "warning:" not in done.output.lower().replace("missing 'system.map' file", "")
        found = set(place.run("cat listing", timeout_s=limit_s).output.split())
        modules = {path for path in found if path.endswith((".ko", ".ko.xz", ".ko.zst"))}
        assert found - modules == _INSTALLED
        assert len(modules) == 1
        assert modules.pop().startswith(f"lib/modules/{release}/")
        done = place.run(f"{make} uninstall && {listing}", timeout_s=limit_s)
        assert done.status == 0, done.output
        assert "fib" not in done.output.splitlines()[-1], done.output
