# SPDX-License-Identifier: MIT
"""The device node: assignment of its number, its creation, its mode and owner."""

from __future__ import annotations

import re

from .bench import Bench, transcript
from .finding import Note

_NODE = "/dev/vmlab_node"
_DEV = "/sys/class/vmlab_node/vmlab_node/dev"
_RULE = "/run/udev/rules.d/99-vmlab.rules"
_FIRST_RANGE = range(254, 233, -1)
_SECOND_RANGE = range(511, 383, -1)
"""find_dynamic_major(), fs/char_dev.c; CHRDEV_MAJOR_DYN_END and the two constants after it, include/linux/fs.h. The
second range exists since commit a5d31a3f81c6 (2017)."""


def _majors_in_use(devices: str) -> dict[int, str]:
    """Number to name of the character devices in /proc/devices."""
    characters = devices.partition("Block devices:")[0]
    return {int(number): name for number, name in re.findall(r"^ *(\d+) (\S+)$", characters, re.MULTILINE)}


def test_a_node_has_the_numbers_that_proc_devices_and_sysfs_tell(bench: Bench, finding: Note) -> None:
    """Key `node.listing`. `c` is a character device; the kernel uses the two numbers, and the name has no meaning."""
    steps = bench.steps(
        {
            "load": "insmod node.ko",
            "ls": f"udevadm settle; ls -l {_NODE}",
            "stat": f"stat -c '%F, mode %a, major %t, minor %T (hexadecimal)' {_NODE}",
            "devices": "grep vmlab_node /proc/devices",
            "sysfs": f"cat {_DEV}",
            "by number": "ls -l /sys/dev/char | grep vmlab_node",
            "uevent": "cat /sys/class/vmlab_node/vmlab_node/uevent",
            "read": f"cat {_NODE}",
            "log": "dmesg -t | grep 'node: major' | tail -n 1",
        }
    )
    listed = re.match(r"^(?P<mode>\S+) \d+ root root (?P<major>\d+), (?P<minor>\d+) ", steps["ls"].output)
    assert listed is not None, steps["ls"].output
    major, minor = int(listed["major"]), int(listed["minor"])
    assert listed["mode"] == "crw-------"
    assert f"major {major:x}, minor {minor:x}" in steps["stat"].output
    assert "character special file" in steps["stat"].output
    assert steps["devices"].output.split() == [str(major), "vmlab_node"]
    assert steps["sysfs"].output == steps["read"].output == f"{major}:{minor}"
    assert f" {major}:{minor} -> " in steps["by number"].output
    assert steps["uevent"].output.splitlines() == [f"MAJOR={major}", f"MINOR={minor}", "DEVNAME=vmlab_node"]
    assert steps["log"].output == f"node: major {major}"
    assert major in (*_FIRST_RANGE, *_SECOND_RANGE)
    finding(
        "node.listing",
        command=f"insmod node.ko; ls -l {_NODE}",
        output=transcript(*steps.values()),
        mode=listed["mode"],
        major=major,
        minor=minor,
    )


def test_majors_are_given_out_from_254_to_234_and_from_511_to_384(bench: Bench, finding: Note) -> None:
    """Key `node.majors`."""
    steps = bench.steps(
        {
            "before": "cat /proc/devices",
            "load": "insmod majors.ko",
            "taken": "cat /sys/module/majors/parameters/majors",
            "refusal": "cat /sys/module/majors/parameters/refusal",
            "log": "dmesg -t | grep -E '^(majors|CHRDEV)' | tail -n 2",
            "next": "insmod node.ko",
        }
    )
    used = _majors_in_use(steps["before"].output)
    taken = [int(word) for word in steps["taken"].output.split(",")]
    # A number of the first range also counts as used when the number 255 above it is used: they share a list.
    buckets = {number % 255 for number in used}
    first = [number for number in _FIRST_RANGE if number % 255 not in buckets]
    assert taken == first + [number for number in _SECOND_RANGE if number not in used]
    assert steps["refusal"].output == "-16"
    assert 'CHRDEV "majors" dynamic allocation region is full' in steps["log"].output
    assert "Device or resource busy" in steps["next"].output
    finding(
        "node.majors",
        command="insmod majors.ko; cat /sys/module/majors/parameters/majors",
        output=transcript(*(steps[name] for name in ("load", "taken", "refusal", "log", "next"))),
        first=taken[0],
        last_of_first_range=first[-1],
        first_of_second_range=taken[len(first)],
        last=taken[-1],
        count=len(taken),
        in_use_before=" ".join(map(str, sorted(used.keys() & {*_FIRST_RANGE, *_SECOND_RANGE}))),
        refusal="EBUSY",
    )


def test_511_is_what_comes_when_254_to_234_are_taken(bench: Bench, finding: Note) -> None:
    """Key `node.511`: the number in the course notes, and the result on a machine with many drivers."""
    steps = bench.steps(
        {
            "alone": f"insmod node.ko; cat {_DEV}; rmmod node",
            "majors": "insmod majors.ko all=0; cat /sys/module/majors/parameters/majors",
            "devices": "sed '/^Block/,$d' /proc/devices | grep -cE '^ *(23[4-9]|24[0-9]|25[0-4]) '",
            "after": f"insmod node.ko; udevadm settle; ls -l {_NODE}",
        }
    )
    alone = int(steps["alone"].output.partition(":")[0])
    major = int(steps["after"].output.partition(",")[0].split()[-1])
    assert alone in _FIRST_RANGE
    assert steps["devices"].output == str(len(_FIRST_RANGE))
    assert major == _SECOND_RANGE[0]
    finding(
        "node.511",
        command="insmod majors.ko all=0; insmod node.ko; ls -l /dev/vmlab_node",
        output=transcript(*steps.values()),
        alone=alone,
        major=major,
    )


def test_a_static_number_is_the_one_asked_for_or_none(bench: Bench, finding: Note) -> None:
    """Key `node.static`. A request for a fixed number gets it or EBUSY; a dynamic number may differ each time."""
    steps = bench.steps(
        {
            "static": f"insmod node.ko major=240; cat {_DEV}; rmmod node",
            "again": f"insmod node.ko major=240; cat {_DEV}; rmmod node",
            "tty": "insmod node.ko major=5",
            "too large": "insmod node.ko major=512",
            "log": "dmesg -t | grep CHRDEV | tail -n 1",
            "dynamic": f"insmod node.ko; cat {_DEV}; rmmod node",
            "meanwhile": f"insmod majors.ko all=0; insmod node.ko; cat {_DEV}",
        }
    )
    assert steps["static"].output == steps["again"].output == "240:0"
    assert "Device or resource busy" in steps["tty"].output
    assert "Invalid parameters" in steps["too large"].output
    assert 'CHRDEV "vmlab_node" major requested (512) is greater than the maximum (511)' in steps["log"].output
    assert steps["dynamic"].output != steps["meanwhile"].output
    finding(
        "node.static",
        command="insmod node.ko major=240",
        output=transcript(*steps.values()),
        static=steps["static"].output,
        dynamic=steps["dynamic"].output,
        dynamic_meanwhile=steps["meanwhile"].output,
        taken_errno="EBUSY",
        too_large_errno="EINVAL",
    )


def test_a_node_made_by_hand_is_a_name_for_a_number(bench: Bench, finding: Note) -> None:
    """Key `node.mknod`. /root is an ordinary file system, unrelated to any driver."""
    number = f"$(tr : ' ' <{_DEV})"
    steps = bench.steps(
        {
            "load": "insmod node.ko",
            "make": f"mknod /root/by_hand c {number}; ls -l /root/by_hand",
            "read": "cat /root/by_hand",
            "other minor": f"mknod /root/other c $(sed 's/:.*/ 7/' {_DEV}); cat /root/other",
            "nodev": f"mount -t tmpfs -o nodev none /mnt; mknod /mnt/by_hand c {number}; cat /mnt/by_hand; umount /mnt",
            "unload": "rmmod node; ls -l /root/by_hand /dev/vmlab_node",
            "stale": "cat /root/by_hand",
            "moved": "insmod node.ko major=200; cat /root/by_hand; cat /dev/vmlab_node; rm /root/by_hand /root/other",
        }
    )
    user = bench.steps({"user": "mknod /tmp/by_user c 240 0"}, is_root=False)["user"]
    assert steps["make"].output.startswith("crw-r--r--")
    assert re.fullmatch(r"\d+:0", steps["read"].output)
    assert "No such device or address" in steps["other minor"].output
    assert "Permission denied" in steps["nodev"].output
    assert "cannot access '/dev/vmlab_node'" in steps["unload"].output
    assert "crw-r--r--" in steps["unload"].output
    assert "No such device or address" in steps["stale"].output
    assert "/root/by_hand: No such device or address" in steps["moved"].output
    assert steps["moved"].output.endswith("200:0")
    assert "Operation not permitted" in user.output
    finding(
        "node.mknod",
        command=f"mknod /root/by_hand c {number}",
        output=f"{transcript(*steps.values())}\n$ {user.command}\n{user.output}",
        other_minor_errno="ENXIO",
        nodev_errno="EACCES",
        after_unload_errno="ENXIO",
        user_errno="EPERM",
    )


def test_the_kernel_makes_the_node_and_udev_dresses_it(bench: Bench, finding: Note) -> None:
    """Keys `node.devtmpfs` and `node.udev`. /dev is devtmpfs: device_add() creates the node there, with mode 0600
    unless the driver sets another. Then udev's rules change mode and owner, and add links."""
    rule = 'KERNEL=="vmlab_node", MODE="0660", GROUP="lab", SYMLINK+="vmlab/by-rule"'
    pause, go_on = "udevadm control --stop-exec-queue", "udevadm control --start-exec-queue"
    steps = bench.steps(
        {
            "dev": "findmnt -no FSTYPE /dev",
            "rule": f"mkdir -p /run/udev/rules.d; echo '{rule}' >{_RULE}; udevadm control --reload; cat {_RULE}",
            "paused": f"{pause}; insmod node.ko; ls -l {_NODE}; ls /dev/vmlab",
            "going on": f"{go_on}; udevadm settle; ls -l {_NODE} /dev/vmlab/by-rule",
            "info": f"udevadm info --query=property {_NODE} | grep -E '^(DEVNAME|DEVLINKS|MAJOR|MINOR|SUBSYSTEM)='",
            "away": f"rm {_RULE}; udevadm control --reload; rmmod node; udevadm settle; ls {_NODE} /dev/vmlab/by-rule",
        }
    )
    assert steps["dev"].output == "devtmpfs"
    assert steps["paused"].output.startswith("crw------- 1 root root")
    assert "cannot access '/dev/vmlab'" in steps["paused"].output
    assert re.search(r"^crw-rw---- 1 root lab .* /dev/vmlab_node$", steps["going on"].output, re.MULTILINE)
    assert "/dev/vmlab/by-rule -> ../vmlab_node" in steps["going on"].output
    assert steps["away"].output.count("No such file or directory") == 2
    finding(
        "node.devtmpfs",
        command=f"{pause}; insmod node.ko; ls -l {_NODE}",
        output=transcript(steps["dev"], steps["paused"]),
        filesystem="devtmpfs",
        mode="crw-------",
    )
    finding(
        "node.udev",
        command=f"{go_on}; ls -l {_NODE}",
        output=transcript(steps["rule"], steps["going on"], steps["info"], steps["away"]),
        mode="crw-rw----",
        group="lab",
        symlink="/dev/vmlab/by-rule",
    )
