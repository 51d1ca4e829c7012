# SPDX-License-Identifier: MIT
"""A 32-bit program on the 64-bit kernel: its offsets are two words, and its ioctls use compat_ioctl."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.catalogue.target import Architecture
from vmlab.guest.guest import Guest
from vmlab.image.kernel_config import has_option
from vmlab.lab.testbed import Testbed

from .oracle import fibonacci, record

# A freestanding program needs no 32-bit C library, which the targets lack; the targets' compiler builds it.
_COMPILE = (
    "gcc -m32 -std=gnu11 -O2 -Wall -Wextra -static -nostdlib -ffreestanding -fno-stack-protector -fno-pie -no-pie "
    "-I/usr/include/x86_64-linux-gnu -o out program/test/fibcompat.c"
)


@pytest.fixture
def client(vmlab_testbed: Testbed, shared_guest: Guest, tmp_path: Path) -> str:
    """Path of the 32-bit program in the guest. Cost: a compilation."""
    if vmlab_testbed.target.architecture is not Architecture.AMD64:
        pytest.skip("the target's compiler makes no 32-bit programs")
    if not has_option(vmlab_testbed.image, "CONFIG_IA32_EMULATION"):
        pytest.skip("this kernel runs no 32-bit programs: CONFIG_IA32_EMULATION is off")
    source, local = vmlab_testbed.run.source, tmp_path / "fibcompat"
    with vmlab_testbed.place() as place:
        place.put_tree(source, "program")
        outcome = place.run(_COMPILE, timeout_s=vmlab_testbed.limits.build_s)
        assert outcome.status == 0, outcome.output
        place.get("out", local)
    local.chmod(0o755)
    shared_guest.put(local, "/tmp/fibcompat")
    return "/tmp/fibcompat"


@pytest.mark.usefixtures("loaded_module")
def test_a_32_bit_client_gets_what_a_64_bit_one_gets(shared_guest: Guest, client: str) -> None:
    def digits(n: int, form: str = "decimal") -> str:
        return record(fibonacci(n), form)

    size = len(digits(300)) + 1
    assert shared_guest.succeed(client).splitlines() == [
        "open\t0",
        f"pread 100\t{len(digits(100)) + 1}",
        digits(100),
        "pread 2^61-2\t0",
        "lseek\t0",
        "position\t90",
        f"read\t{len(digits(90)) + 1}",
        digits(90),
        "size\t0",
        f"size bytes\t{size}",
        "stats\t0",
        "stats index\t90",
        f"stats bytes\t{len(digits(90)) + 1}",
        "format\t0",
        f"pread 100 in hex\t{len(digits(100, 'hex')) + 1}",
        digits(100, "hex"),
        "format 3\t-22",
        "ioctl 99\t-25",
        "ioctl NULL\t-14",
    ]
