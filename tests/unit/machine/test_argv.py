# SPDX-License-Identifier: MIT
"""QEMU's argument list, word for word."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.fakes import image
from vmlab.host.accelerator import Accelerator
from vmlab.machine.argv import MachineSpec, machine_spec, proof_argv, qemu_argv

_COMMAND_LINE = "root=/dev/vda rw console=ttyS0 panic=0 net.ifnames=0 fsck.mode=skip systemd.show_status=0"


def _spec(accelerator: Accelerator) -> MachineSpec:
    return machine_spec(image(Path("/store/image")), accelerator, cpus=2, memory_mib=1024)


def _base(accelerator: str, cpu: str) -> list[str]:
    # fmt: off
    return [
        "qemu-system-x86_64",
        "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-machine", "q35,usb=off,vmport=off,graphics=off", "-accel", accelerator,
        "-cpu", cpu, "-smp", "2", "-m", "1024M",
        "-kernel", "/store/image/kernel", "-initrd", "/store/image/initrd", "-append", _COMMAND_LINE,
    ]
    # fmt: on


_FLAGS = {
    Accelerator.KVM: ("kvm", "host"),
    Accelerator.TCG: ("tcg,thread=multi,tb-size=256", "max,la57=off,svm=off"),
}


@pytest.mark.parametrize("accelerator", list(Accelerator))
def test_the_whole_list(accelerator: Accelerator) -> None:
    argv = qemu_argv(_spec(accelerator), disk=Path("/run/disk.qcow2"), console=Path("/run/console"), monitor_fd=7)
    # fmt: off
    assert argv == [
        *_base(*_FLAGS[accelerator]),
        "-chardev", "file,id=console,path=/run/console", "-serial", "chardev:console",
        "-chardev", "socket,id=monitor,fd=7", "-mon", "chardev=monitor,mode=control",
        "-drive", "if=none,id=disk,file=/run/disk.qcow2,format=qcow2,cache=unsafe,discard=unmap",
        "-device", "virtio-blk-pci,drive=disk",
        "-netdev", "user,id=net,hostfwd=tcp:127.0.0.1:0-:22",
        "-device", "virtio-net-pci,netdev=net,mac=52:54:00:76:6d:6c,romfile=",
        "-device", "virtio-rng-pci",
    ]
    # fmt: on


def test_the_proof_starts_the_same_machine_without_disk_and_network() -> None:
    argv = proof_argv(_spec(Accelerator.KVM), console=Path("/run/console"))
    assert argv == [*_base("kvm", "host"), "-serial", "file:/run/console"]


def test_a_comma_in_a_path_does_not_end_the_option() -> None:
    argv = qemu_argv(_spec(Accelerator.TCG), disk=Path("/a,b/disk"), console=Path("/a,b/log"), monitor_fd=3)
    assert "file,id=console,path=/a,,b/log" in argv
    assert any("file=/a,,b/disk," in word for word in argv)


def test_the_same_goes_in_and_the_same_comes_out() -> None:
    arguments = {"disk": Path("/disk"), "console": Path("/log")}
    one = qemu_argv(_spec(Accelerator.TCG), monitor_fd=3, **arguments)
    assert one == qemu_argv(_spec(Accelerator.TCG), monitor_fd=3, **arguments)
    assert one != qemu_argv(_spec(Accelerator.KVM), monitor_fd=3, **arguments)
