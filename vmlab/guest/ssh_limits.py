# SPDX-License-Identifier: MIT
"""paramiko's transport and SFTP client, with limits on what a hostile server makes them do.

paramiko follows a count of 32 bits without looking whether the packet has so many elements, stores whatever arrives
beyond a channel's window, and keeps an answer of any size.
"""

from __future__ import annotations

import time
from typing import ClassVar

import paramiko
from paramiko.common import MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA
from paramiko.sftp import CMD_ATTRS, CMD_DATA, SFTPError

from vmlab.guest.ssh_channel import FILE_BYTES, TimedChannel

GARBLED = (SFTPError, UnicodeDecodeError)
"""Exceptions of paramiko for an answer that breaks the SFTP protocol."""
_LEAST_PAIR_BYTES = 8
"""Size of two empty strings."""
_PACKET_BYTES = 256 << 10
"""Maximum size of an SFTP packet: OpenSSH's (SFTP_MAX_MSG_LENGTH)."""
_HEAD_BYTES = 8
"""Number of a request, and the length or the flags of its answer."""
_LOOK_S = 0.001


def _within_window(channel: paramiko.Channel, message: paramiko.Message) -> None:
    waiting = len(channel.in_buffer) + len(channel.in_stderr_buffer)
    if waiting + len(message.get_remainder()) > channel.in_window_size + _HEAD_BYTES:
        raise paramiko.SSHException("the guest sent more than the channel's window")


def _feed(channel: paramiko.Channel, message: paramiko.Message) -> None:
    _within_window(channel, message)
    channel._feed(message)


def _feed_extended(channel: paramiko.Channel, message: paramiko.Message) -> None:
    _within_window(channel, message)
    channel._feed_extended(message)


class LimitedTransport(paramiko.Transport):  # type: ignore[misc]
    """An SSH transport that ends when the server sends impossible counts, or more than a channel's window."""

    _channel_handler_table: ClassVar = {
        **paramiko.Transport._channel_handler_table,
        MSG_CHANNEL_DATA: _feed,
        MSG_CHANNEL_EXTENDED_DATA: _feed_extended,
    }

    def _parse_ext_info(self, message: paramiko.Message) -> None:
        count = int.from_bytes(message.get_remainder()[:4], "big")
        if count * _LEAST_PAIR_BYTES > len(message.get_remainder()):
            raise paramiko.SSHException(f"the guest announced {count} extensions in one short packet")
        super()._parse_ext_info(message)


class LimitedFiles(paramiko.SFTPClient):  # type: ignore[misc]
    """An SFTP client that refuses packets that OpenSSH does not send."""

    def __init__(self, channel: TimedChannel) -> None:
        self._channel = channel
        super().__init__(channel)

    def _read_all(self, size: int) -> bytes:
        if size > _PACKET_BYTES:
            raise self._refusal(f"the guest announced an SFTP packet of {size} bytes")
        return bytes(super()._read_all(size))

    def _read_packet(self) -> tuple[int, bytes]:
        kind, data = super()._read_packet()
        if len(data) < 4:
            raise self._refusal("the guest sent an SFTP packet that is too short")
        if kind == CMD_DATA and len(data) > FILE_BYTES + _HEAD_BYTES:
            raise self._refusal(f"the guest sent {len(data)} bytes of a file, at most {FILE_BYTES} were requested")
        # Not even their count is read: paramiko loops over it.
        if kind == CMD_ATTRS and int.from_bytes(data[4:8], "big") & paramiko.SFTPAttributes.FLAG_EXTENDED:
            raise self._refusal("the guest sent extended attributes of a file, which OpenSSH does not have")
        self._await_request(int.from_bytes(data[:4], "big"))
        return kind, data

    def _refusal(self, what: str) -> paramiko.SSHException:
        # paramiko would still ask the server to close its file.
        self._channel.close()
        return paramiko.SSHException(what)

    def _await_request(self, number: int) -> None:
        """Wait until the request that was answered is sent. paramiko would wait without a timeout, while the thread
        that sends waits for the server."""
        file = self._expecting.get(number)
        while isinstance(file, paramiko.SFTPFile) and number not in file._prefetch_extents:
            self._channel.require_time()
            time.sleep(_LOOK_S)
