# SPDX-License-Identifier: MIT
"""A small disk built from Debian packages, with the layout of a published cloud image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmlab.catalogue.target import Architecture
from vmlab.image.mirrors import find_mirrors, index_options
from vmlab.image.mmdebstrap import mmdebstrap
from vmlab.image.recipe import write_overlay
from vmlab.settings import Settings
from vmlab.store.store import Store

_ASSEMBLE = Path(__file__).with_name("assemble.sh").read_text(encoding="utf-8")
_TIMEOUT_S = 1800
_SIZE_MIB = 2304
_EVERYWHERE = (
    *("systemd-sysv", "udev", "kmod", "initramfs-tools", "zstd", "sudo", "openssh-server", "iproute2", "netbase"),
    *("cloud-init", "cloud-guest-utils", "fdisk", "e2fsprogs", "dosfstools", "mtools", "ca-certificates"),
    *("grub-common", "grub2-common", "grub-pc-bin", "grub-efi-amd64-bin"),
)
_FILES: Mapping[str, str] = {
    "etc/fstab": "LABEL=cloudimg-root / ext4 defaults,x-systemd.growfs 0 1\nLABEL=UEFI /boot/efi vfat umask=0077 0 1\n",
    "etc/hostname": "localhost\n",
    # As in Debian's cloud images: the image sets its package archives, cloud-init leaves them alone.
    "etc/cloud/cloud.cfg.d/01_debian_cloud.cfg": "apt_preserve_sources_list: true\nmanage_etc_hosts: true\n",
    "etc/default/grub": (
        "GRUB_DEFAULT=0\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_TERMINAL=serial\n"
        'GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200 net.ifnames=0"\n'
    ),
    # A small initrd: under TCG each boot unpacks it, and installing a kernel builds one.
    "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\n",
    "etc/initramfs-tools/conf.d/small": "MODULES=list\nCOMPRESS=zstd\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Properties that differ between Debian releases."""

    codename: str
    pockets: tuple[str, ...]
    packages: tuple[str, ...]
    """Packages that configure the network, as in Debian's cloud images."""
    network: str
    """Systemd unit that configures the network."""
    resolv_conf: str = ""
    """Link target of /etc/resolv.conf; empty when the network scripts write the file."""
    kernel: str
    """Package of the kernel that the disk boots."""

    @property
    def inputs(self) -> Mapping[str, Any]:
        """All inputs of a disk except the package archives."""
        return dataclasses.asdict(self) | {"everywhere": _EVERYWHERE, "files": dict(_FILES), "assemble": _ASSEMBLE}


BULLSEYE = Release(
    codename="bullseye",
    pockets=("bullseye", "bullseye-security"),
    packages=("ifupdown", "isc-dhcp-client"),
    network="networking.service",
    kernel="linux-image-cloud-amd64",
)
"""cloud-init 20.4, which lacks `status --format json`. The installed kernel is the one the target uses."""
BOOKWORM = Release(
    codename="bookworm",
    pockets=("bookworm", "bookworm-updates", "bookworm-security"),
    packages=("systemd-resolved",),
    network="systemd-networkd.service",
    resolv_conf="../run/systemd/resolve/stub-resolv.conf",
    kernel="linux-image-amd64",
)
"""Boots the generic kernel, so a target of the cloud flavour must install its kernel and reboot into it."""


def make_disk(
    release: Release, directory: Path, store: Store, settings: Settings, *, progress: Callable[[str], None]
) -> Path:
    """Build a qcow2 disk in `directory` for BIOS and UEFI. Cost: minutes, and packages from the host's mirrors."""
    mirrors = find_mirrors(settings.mirror)
    sources = "".join(f"{mirrors.source_line(pocket)}\n" for pocket in release.pockets)
    write_overlay(directory / "overlay.tar", {**_FILES, "etc/apt/sources.list": sources})
    chroot = 'DEBIAN_FRONTEND=noninteractive chroot "$1"'
    named = f"chroot \"$1\" apt-cache depends {release.kernel} | sed -n 's/.*Depends: //p'"
    find_release = 'RELEASE=$(ls "$1/boot" | sed -n "s/^vmlinuz-//p")'
    mmdebstrap(
        [
            "--variant=apt",
            '--aptopt=APT::Install-Recommends "false"',
            *index_options(settings.stale_index),
            "--dpkgopt=force-unsafe-io",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            f"--include={','.join((*_EVERYWHERE, *release.packages))}",
            "--customize-hook=tar-in overlay.tar /",
            # systemd-resolved replaced it with a link whose target exists only while the service runs.
            '--customize-hook=rm -f "$1/etc/resolv.conf"; cp /etc/resolv.conf "$1/etc/resolv.conf"',
            # Install the package that the metapackage depends on: a mirror may have only the former.
            f"--customize-hook=kernel=$({named}) && {chroot} apt-get install --yes --no-install-recommends $kernel",
            '--customize-hook=mkdir -p "$1/boot/efi"',
            f"--customize-hook={chroot} systemctl enable {release.network} ssh.service",
            f"--customize-hook={chroot} sh -c 'apt-get clean; rm -rf /var/lib/apt/lists/*'",
            f"--customize-hook={find_release} SIZE_MIB={_SIZE_MIB} RESOLV_CONF={release.resolv_conf}\n{_ASSEMBLE}",
            "--customize-hook=download /srv/out/disk.qcow2 disk.qcow2",
            release.codename,
            "/dev/null",
            *map(mirrors.source_line, release.pockets),
        ],
        architecture=Architecture.AMD64,
        directory=directory,
        log=store.directory("logs") / f"disk-{release.codename}.log",
        what=f"making a cloud disk of {release.codename}",
        progress=progress,
        timeout_s=_TIMEOUT_S * settings.patience,
    )
    (directory / "overlay.tar").unlink()
    return directory / "disk.qcow2"
