# SPDX-License-Identifier: MIT
"""Program for a guest: sends one request to an address, as root, and prints the answer or the reason for none.

Usage: knock.py SECONDS tcp|udp|dns|tftp|ping ADDRESS PORT [SOURCE]
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys

_DNS = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01"
"""Question for the address of example.org (RFC 1035)."""
_TFTP = b"\x00\x01etc/hostname\x00octet\x00"
"""Request to read a file (RFC 1350); the answer with its content starts with the bytes 0 and 3."""
_PING = struct.pack("!BBHHH", 8, 0, 0xF7FD, 1, 1)
"""ICMP echo request, with its checksum (RFC 792)."""
_REQUESTS = {"udp": b"knock", "dns": _DNS, "tftp": _TFTP, "ping": _PING}


def main(seconds: str, kind: str, address: str, port: str, source: str = "") -> str:
    """Send a request and return the answer that comes within some seconds."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    stream = (socket.SOCK_STREAM, 0)
    raw = (socket.SOCK_RAW, socket.IPPROTO_ICMP)
    sort, protocol = stream if kind == "tcp" else raw if kind == "ping" else (socket.SOCK_DGRAM, 0)
    with contextlib.closing(socket.socket(family, sort, protocol)) as made:
        made.settimeout(float(seconds))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if source:
            made.bind((source, 0))
        target = socket.getaddrinfo(address, int(port), family, sort, protocol)[0][4]
        if kind == "tcp":
            made.connect(target)
        else:
            made.sendto(_REQUESTS[kind], target)
        return repr(made.recvfrom(2000)[0])


if __name__ == "__main__":
    try:
        print("answered", main(*sys.argv[1:]))
    except OSError as error:
        print("silent:", error)
