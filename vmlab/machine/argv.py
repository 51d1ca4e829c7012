# SPDX-License-Identifier: MIT
"""QEMU's argument list. Pure: a specification in, a list of words out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmlab.host.accelerator import QEMU, Accelerator
from vmlab.image.image import Image

MAC_ADDRESS = "52:54:00:76:6d:6c"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """Everything about a machine that its guest can see."""

    accelerator: Accelerator
    cpu_model: str
    cpus: int
    memory_mib: int
    kernel: Path
    initrd: Path
    command_line: str


def machine_spec(image: Image, accelerator: Accelerator, *, cpus: int, memory_mib: int) -> MachineSpec:
    """The machine that boots an image on an accelerator."""
    return MachineSpec(
        accelerator=accelerator,
        cpu_model=default_cpu_model(accelerator),
        cpus=cpus,
        memory_mib=memory_mib,
        kernel=image.kernel,
        initrd=image.initrd,
        command_line=kernel_command_line(),
    )


def default_cpu_model(accelerator: Accelerator) -> str:
    """`host` needs KVM. `max` is all that TCG can emulate, less what only costs time in a guest: five-level paging
    makes every page walk longer, and a processor with SVM makes udev load KVM at each boot."""
    return "host" if accelerator is Accelerator.KVM else "max,la57=off,svm=off"


def kernel_command_line() -> str:
    """What the kernel is told. Nothing here changes how a module behaves.

    A panic halts rather than reboots, so that its last words stay on the console.
    """
    return " ".join(
        (
            "root=/dev/vda",
            "rw",
            "console=ttyS0",
            "panic=0",
            "net.ifnames=0",
            "fsck.mode=skip",
            "systemd.show_status=0",
        )
    )


def qemu_argv(spec: MachineSpec, *, disk: Path, console: Path, monitor_fd: int) -> list[str]:
    """The arguments that boot a machine from its overlay `disk`, its serial console going to the file `console`.

    The monitor speaks QMP on an inherited socket: a path of a socket may not be longer than 107 bytes. Port 0
    lets QEMU pick the forwarded port, so that no two machines race for one.
    """
    return [
        *_base(spec),
        *("-chardev", f"file,id=console,path={_escaped(console)}", "-serial", "chardev:console"),
        *("-chardev", f"socket,id=monitor,fd={monitor_fd}", "-mon", "chardev=monitor,mode=control"),
        *("-drive", f"if=none,id=disk,file={_escaped(disk)},format=qcow2,cache=unsafe,discard=unmap"),
        *("-device", "virtio-blk-pci,drive=disk"),
        *("-netdev", "user,id=net,hostfwd=tcp:127.0.0.1:0-:22"),
        *("-device", f"virtio-net-pci,netdev=net,mac={MAC_ADDRESS},romfile="),
        *("-device", "virtio-rng-pci"),
    ]


def proof_argv(spec: MachineSpec, *, console: Path) -> list[str]:
    """The arguments that only start the kernel, to see whether the accelerator runs it."""
    return [*_base(spec), *("-serial", f"file:{console}")]


def _base(spec: MachineSpec) -> list[str]:
    accelerator = "kvm" if spec.accelerator is Accelerator.KVM else "tcg,thread=multi,tb-size=256"
    return [
        QEMU,
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-machine", "q35,usb=off,vmport=off,graphics=off", "-accel", accelerator),
        *("-cpu", spec.cpu_model, "-smp", str(spec.cpus), "-m", f"{spec.memory_mib}M"),
        *("-kernel", str(spec.kernel), "-initrd", str(spec.initrd), "-append", spec.command_line),
    ]


def _escaped(path: Path) -> str:
    """A comma in a QEMU option value is written twice."""
    return str(path).replace(",", ",,")
